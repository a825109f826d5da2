//! Units for the service managers of Linux and macOS, as texts.

use std::path::Path;

/// A user unit for systemd (systemd.service(5)). Without `PrivateTmp` and such:
/// what programs reach is what they were granted, and those are real folders.
#[must_use]
pub fn systemd(program: &Path, home: &Path) -> String {
    format!(
        "[Unit]\n\
         Description=Wardroom: runs automations in a sandbox\n\
         Documentation=man:systemd.service(5)\n\
         \n\
         [Service]\n\
         ExecStart={program} --home={home} serve\n\
         Restart=on-failure\n\
         RestartSec=2\n\
         TimeoutStopSec=45\n\
         NoNewPrivileges=yes\n\
         UMask=0077\n\
         LimitCORE=0\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n",
        program = unit_word(program),
        home = unit_word(home),
    )
}

/// A word of `ExecStart`: quoted, with what systemd expands written twice.
fn unit_word(path: &Path) -> String {
    let text = path.display().to_string();
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}

/// A property list for launchd (launchd.plist(5)).
#[must_use]
pub fn launchd(program: &Path, home: &Path) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n\
         <dict>\n\
         \t<key>Label</key><string>wardroom</string>\n\
         \t<key>ProgramArguments</key>\n\
         \t<array><string>{program}</string><string>--home={home}</string><string>serve</string></array>\n\
         \t<key>RunAtLoad</key><true/>\n\
         \t<key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>\n\
         \t<key>ExitTimeOut</key><integer>45</integer>\n\
         \t<key>Umask</key><integer>63</integer>\n\
         </dict>\n\
         </plist>\n",
        program = xml(program),
        home = xml(home),
    )
}

fn xml(path: &Path) -> String {
    path.display().to_string().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_managers_would_expand_is_escaped() {
        let odd = Path::new("/a b/%h$X\"&<");
        assert!(systemd(odd, odd).contains("ExecStart=\"/a b/%%h$$X\\\"&<\" --home=\"/a b/%%h$$X\\\"&<\" serve"));
        assert!(launchd(odd, odd).contains("<string>/a b/%h$X\"&amp;&lt;</string>"));
    }
}
