//! A client's own settings with this server in them: nothing that was there is
//! lost, and what could be lost is left alone.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::home::{BINARY, Home, chmod};

/// Where a client keeps its settings, below the home folder of this test.
fn settings(home: &Home, client: &str) -> PathBuf {
    let applications = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
    let file = match client {
        "claude" => format!("{applications}/Claude/claude_desktop_config.json"),
        "vscode" => format!("{applications}/Code/User/mcp.json"),
        "cursor" => ".cursor/mcp.json".to_owned(),
        "windsurf" => ".codeium/windsurf/mcp_config.json".to_owned(),
        _ => ".config/zed/settings.json".to_owned(),
    };
    home.path().parent().unwrap().join(file)
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What lies beside a file, its own name left out.
fn beside(path: &Path) -> Vec<String> {
    let names = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| *name != path.file_name().unwrap().to_str().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn each_client_gets_what_would_be_printed_for_it_in_its_own_file() {
    let home = Home::new();
    for client in ["claude", "cursor", "vscode", "windsurf", "zed"] {
        let flags = ["--profile=read", "--elicitation=trusted", "--schedule"];
        let printed = home.read(&[&["mcp", "--print-config", client], &flags[..]].concat());
        let file = settings(&home, client);
        let install = [&["mcp", "--install-config", client], &flags[..]].concat();
        let installed = home.run(&install);
        assert!(installed.code == Some(0) && installed.text().contains("has it now"), "{client}: {installed}");
        assert_eq!(read(&file), printed, "{client}");
        let server = printed.as_object().unwrap().values().next().unwrap()["wardroom"].clone();
        assert_eq!(server["command"], BINARY);
        assert_eq!(server["args"], json!(["--home", home.path(), "mcp", "--profile", "read", "--elicitation=trusted", "--schedule"]));
        // Again, nothing more happens.
        let bytes = std::fs::read(&file).unwrap();
        let again = home.run(&install);
        assert!(again.code == Some(0) && again.text().contains("has it already"), "{client}: {again}");
        assert!(std::fs::read(&file).unwrap() == bytes && beside(&file).is_empty(), "{client}");
    }
}

#[test]
fn what_was_there_stays_and_is_kept_beside_as_it_was() {
    let home = Home::new();
    let real = home.file("dotfiles/mcp.json", "{\n\t\"theme\": 1.50,\n\t\"mcpServers\": {\n\t\t\"other\": {\"command\": \"x\"}\n\t}\n}\n");
    chmod(&real, 0o640);
    let before = std::fs::read_to_string(&real).unwrap();
    let file = settings(&home, "cursor");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    symlink(&real, &file).unwrap();
    let installed = home.run(&["mcp", "--install-config=cursor"]);
    assert_eq!(installed.code, Some(0), "{installed}");
    let after = std::fs::read_to_string(&real).unwrap();
    assert!(after.starts_with("{\n\t\"theme\": 1.50,\n\t\"mcpServers\": {\n\t\t\"other\": {\"command\": \"x\"},\n"), "{after}");
    assert!(read(&file)["mcpServers"]["wardroom"].is_object());
    assert!(file.symlink_metadata().unwrap().is_symlink(), "a link stays one");
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(beside(&file), ["mcp.json.before-wardroom-1"]);
    let copy = file.with_file_name("mcp.json.before-wardroom-1");
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), before);
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777 & !0o640, 0);
    assert!(beside(&real).is_empty(), "no part of it is left lying about");

    // Another one of that name, which is what other flags make of it.
    let refused = home.run(&["mcp", "--install-config=cursor", "--profile=read"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("--force"), "{refused}");
    assert_eq!(std::fs::read_to_string(&real).unwrap(), after);
    assert_eq!(home.run(&["mcp", "--install-config=cursor", "--profile=read", "--force"]).code, Some(0));
    let forced = read(&file);
    assert_eq!(forced["mcpServers"]["wardroom"]["args"][4], "read");
    assert_eq!((&forced["theme"], &forced["mcpServers"]["other"]["command"]), (&json!(1.5), &json!("x")));
    assert_eq!(std::fs::read_to_string(file.with_file_name("mcp.json.before-wardroom-2")).unwrap(), after);
}

#[test]
fn settings_that_would_lose_something_are_left_alone_and_what_to_paste_is_printed() {
    let home = Home::new();
    let printed = home.read(&["mcp", "--print-config", "zed"]);
    let file = settings(&home, "zed");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    for text in [
        "{\n  // mine\n  \"theme\": \"dark\",\n}\n",
        "{\"context_servers\": []}",
        "{\"a\": 1",
        "[]",
        "{\"context_servers\": {}, \"context_servers\": {}}",
    ] {
        std::fs::write(&file, text).unwrap();
        for force in [&[][..], &["--force"]] {
            let refused = home.run(&[&["mcp", "--install-config=zed"], force].concat());
            assert!(refused.code == Some(1) && refused.stderr.contains("left as it is"), "{text}: {refused}");
            assert_eq!(refused.json(), printed, "{text}");
            assert!(std::fs::read_to_string(&file).unwrap() == text && beside(&file).is_empty(), "{text}");
        }
    }
    for (what, make) in [
        ("no file", (|path| std::fs::create_dir(path).unwrap()) as fn(&Path)),
        ("cannot be read", |path| symlink("nowhere", path).unwrap()),
    ] {
        std::fs::remove_file(&file).unwrap();
        make(&file);
        let refused = home.run(&["mcp", "--install-config=zed"]);
        assert!(refused.code == Some(1) && refused.stderr.contains(what), "{refused}");
        if file.is_dir() {
            std::fs::remove_dir(&file).unwrap();
            std::fs::write(&file, "").unwrap();
        }
    }
}

#[test]
fn another_file_is_named_and_flags_that_mean_nothing_are_refused() {
    let home = Home::new();
    let file = home.work().join("project/.mcp.json");
    let named = format!("--config-file={}", file.display());
    assert_eq!(home.run(&["mcp", "--install-config=claude", &named]).code, Some(0));
    assert!(read(&file)["mcpServers"]["wardroom"].is_object() && !settings(&home, "claude").exists());
    for wrong in [
        &["mcp", "--force"][..],
        &["mcp", "--config-file=x"],
        &["mcp", "--install-config=nobody"],
        &["mcp", "--install-config=claude", "--http=127.0.0.1:7"],
        &["mcp", "--print-config=claude", "--http=127.0.0.1:7", "--schedule"],
        &["mcp", "--install-config=claude", "--print-config=claude"],
    ] {
        let refused = home.run(wrong);
        assert_eq!(refused.code, Some(2), "{wrong:?}: {refused}");
    }
}
