//! Feeds as they are in the world, in one shape.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Function;
use crate::support::guests;
use crate::support::home::Home;
use crate::support::library::Job;

fn plugin() -> Option<PathBuf> {
    guests::scripted_plugin("feed")
}

const BLOG: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:atom="http://www.w3.org/2005/Atom">
<channel>
  <title>Ships &amp; Harbours</title>
  <atom:link href="https://ships.example/feed/" rel="self" type="application/rss+xml" />
  <link>https://ships.example</link>
  <description>News from the quay</description>
  <lastBuildDate>Tue, 03 Mar 2026 08:15:00 +0000</lastBuildDate>
  <language>en-GB</language>
  <item>
    <title>The &lt;i&gt;Albatross&lt;/i&gt; is back</title>
    <link>https://ships.example/albatross</link>
    <dc:creator><![CDATA[Ada Quay]]></dc:creator>
    <pubDate>Tue, 03 Mar 2026 09:15:00 +0100</pubDate>
    <category><![CDATA[Arrivals]]></category><category>Sail</category>
    <guid isPermaLink="false">https://ships.example/?p=17</guid>
    <description><![CDATA[She came in at dawn&#8230;]]></description>
    <content:encoded><![CDATA[<p>She came in at dawn.</p>]]></content:encoded>
    <enclosure url="https://ships.example/horn.mp3" length="4096" type="audio/mpeg" />
  </item>
  <item><guid>https://ships.example/two</guid><pubDate>someday</pubDate></item>
</channel></rss>"#;

const ATOM: &str = r#"<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de">
  <title type="text">Versionen</title><id>tag:git.example,2026:r</id><updated>2026-03-01T10:00:00+02:00</updated>
  <link type="text/html" rel="alternate" href="https://git.example/r"/><link rel="self" href="https://git.example/r.atom"/>
  <author><name>Bo</name></author>
  <entry><id>tag:git.example,2026:r/v2</id><title>v2</title><link href="https://git.example/r/v2"/>
    <published>2026-02-28T23:30:00.5-01:00</published><updated>2026-03-01T08:00:00Z</updated>
    <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Faster &amp; <b>smaller</b></p></div></content></entry>
  <entry><id>x</id><title>v1</title><updated>2026-01-01T00:00:00Z</updated><author><name>Cy</name></author><author><email>di@git.example</email></author>
    <category term="old" label="Alt"/><summary>first</summary><content>plain &lt;text&gt;</content></entry>
</feed>"#;

const RDF: &str = r#"<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel rdf:about="https://old.example/index.rdf"><title>Old</title><link>https://old.example/</link><description>still here</description></channel>
<item rdf:about="https://old.example/1"><title>One</title><link>https://old.example/1</link><dc:date>2004-05-06</dc:date><dc:creator>Eve</dc:creator><dc:subject>past</dc:subject></item>
</rdf:RDF>"#;

const JSON: &str = r#"{"version": "https://jsonfeed.org/version/1.1", "title": "J", "home_page_url": "https://j.example", "feed_url": "https://j.example/feed.json",
"authors": [{"name": "Flo"}], "language": "fr", "items": [
{"id": "2", "content_text": "deux", "date_published": "2026-03-29T02:30:00+02:00", "tags": ["a", "b"]},
{"id": "1", "url": "https://j.example/1", "content_html": "<p>un</p>", "authors": [{"name": "Gil"}], "attachments": [{"url": "https://j.example/1.ogg", "mime_type": "audio/ogg", "size_in_bytes": 12}]}]}"#;

#[test]
fn a_blog_in_rss_is_read_whole() {
    let Some(plugin) = plugin() else { return };
    let home = Home::new();
    let channel = Function::at(&home, &plugin, "reader.parse").gives(&json!({ "text": BLOG }));
    let first = json!({
        "id": "https://ships.example/?p=17",
        "title": "The <i>Albatross</i> is back",
        "url": "https://ships.example/albatross",
        "published": "2026-03-03T08:15:00.000Z",
        "updated": null,
        "authors": ["Ada Quay"],
        "summary": "She came in at dawn&#8230;",
        "content": { "html": "<p>She came in at dawn.</p>" },
        "categories": ["Arrivals", "Sail"],
        "enclosures": [{ "url": "https://ships.example/horn.mp3", "media_type": "audio/mpeg", "bytes": 4096 }],
    });
    let head = |name: &str| channel[name].as_str().unwrap_or_default().to_owned();
    let heads = ["format", "title", "description", "url", "feed_url", "language", "updated"].map(head);
    let expected = [
        "rss",
        "Ships & Harbours",
        "News from the quay",
        "https://ships.example",
        "https://ships.example/feed/",
        "en-GB",
        "2026-03-03T08:15:00.000Z",
    ];
    assert_eq!(heads, expected);
    assert_eq!(channel["items"][0], first);
    let second = &channel["items"][1];
    assert_eq!([&second["id"], &second["url"]], ["https://ships.example/two"; 2]);
    assert_eq!((&second["published"], &second["title"]), (&json!(null), &json!(null)), "someday is no time");
}

/// Reads in this process.
fn read(plugin: &std::path::Path, text: &str) -> Value {
    Job::file(plugin).function("reader.parse").params(json!({ "text": text })).finish().json().clone()
}

#[test]
fn atom_rdf_and_json_have_the_same_shape() {
    let Some(plugin) = plugin() else { return };
    let atom = read(&plugin, ATOM);
    assert_eq!([&atom["format"], &atom["title"], &atom["updated"]], ["atom", "Versionen", "2026-03-01T08:00:00.000Z"]);
    assert_eq!([&atom["url"], &atom["feed_url"]], ["https://git.example/r", "https://git.example/r.atom"]);
    let (newer, older) = (&atom["items"][0], &atom["items"][1]);
    assert_eq!([&newer["published"], &newer["content"]["html"]], ["2026-03-01T00:30:00.500Z", "<p>Faster &amp; <b>smaller</b></p>"]);
    assert_eq!((&newer["authors"], &older["authors"]), (&json!(["Bo"]), &json!(["Cy", "di@git.example"])));
    assert_eq!((&older["content"], &older["categories"]), (&json!({ "text": "plain <text>" }), &json!(["Alt"])));
    let rdf = read(&plugin, RDF);
    let one = &rdf["items"][0];
    assert_eq!(
        [&rdf["format"], &rdf["title"], &one["id"], &one["published"]],
        ["rdf", "Old", "https://old.example/1", "2004-05-06T00:00:00.000Z"]
    );
    assert_eq!((&one["authors"], &one["categories"]), (&json!(["Eve"]), &json!(["past"])));
    let json = read(&plugin, JSON);
    assert_eq!([&json["format"], &json["feed_url"], &json["language"]], ["json", "https://j.example/feed.json", "fr"]);
    let (second, first) = (&json["items"][0], &json["items"][1]);
    assert_eq!((&second["published"], &second["content"]), (&json!("2026-03-29T00:30:00.000Z"), &json!({ "text": "deux" })));
    assert_eq!((&second["authors"], &first["authors"]), (&json!(["Flo"]), &json!(["Gil"])));
    assert_eq!(first["enclosures"], json!([{ "url": "https://j.example/1.ogg", "media_type": "audio/ogg", "bytes": 12 }]));
}

#[test]
fn times_are_read_as_feeds_write_them() {
    let Some(plugin) = plugin() else { return };
    let cases = [
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some("1994-11-06T08:49:37.000Z")),
        ("6 Nov 94 08:49 EST", Some("1994-11-06T13:49:00.000Z")),
        ("Fri, 1 December 2023 7:05:00 -0830", Some("2023-12-01T15:35:00.000Z")),
        ("2024-02-29T23:59:60Z", Some("2024-02-29T23:59:59.000Z")),
        ("2024-02-29 12:00", Some("2024-02-29T12:00:00.000Z")),
        ("2023-02-29T12:00:00Z", None),
        ("31 Apr 2023 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 25:00:00 GMT", None),
        ("Mon, 01 Jan 2024 12:00:00 CET", None),
        ("1700000000", None),
    ];
    let items: String = cases.iter().map(|(time, _)| format!("<item><pubDate>{time}</pubDate></item>")).collect();
    let channel = read(&plugin, &format!("<rss version=\"2.0\"><channel><title>t</title>{items}</channel></rss>"));
    let found: Vec<Option<&str>> = channel["items"].as_array().unwrap().iter().map(|item| item["published"].as_str()).collect();
    assert_eq!(found, cases.map(|(_, expected)| expected));
}

#[test]
fn what_is_no_feed_is_refused_and_a_long_one_is_cut() {
    let Some(plugin) = plugin() else { return };
    let why = |text: &str, limit: Value| {
        let finished = Job::file(&plugin).function("reader.parse").params(json!({ "text": text, "limit": limit })).finish();
        finished.failure().1.to_owned()
    };
    for text in ["", "hello", "{}", "<html><body>x</body></html>", "<rss><channel><title>x"] {
        assert!(why(text, json!(null)).starts_with("it is no feed that can be read"), "{text}: {}", why(text, json!(null)));
    }
    assert_eq!(why(BLOG, json!(0)), "`limit` is 0: expected 1 to 1000");
    let items = "<item><title>x</title></item>".repeat(101);
    let channel = read(&plugin, &format!("<rss version=\"2.0\"><channel><title>t</title>{items}</channel></rss>"));
    assert_eq!((channel["items"].as_array().unwrap().len(), &channel["truncated"]), (100, &json!(true)));
}

#[test]
fn entities_of_a_feeds_own_are_not_expanded() {
    let Some(plugin) = plugin() else { return };
    let entities: String = (1..10).map(|n| format!("<!ENTITY e{n} \"{}\">", format!("&e{};", n - 1).repeat(10))).collect();
    let bomb = format!(
        "<!DOCTYPE rss [<!ENTITY e0 \"boom\">{entities}<!ENTITY f SYSTEM \"file:///etc/passwd\">]><rss version=\"2.0\"><channel><title>&e9;</title><description>&f;</description></channel></rss>"
    );
    let finished = Job::file(&plugin).function("reader.parse").params(json!({ "text": bomb })).finish();
    match &finished.outcome.ending {
        Ok(_) => assert_eq!([&finished.json()["title"], &finished.json()["description"]], ["&e9;", "&f;"]),
        Err(failure) => assert!(failure.message.starts_with("it is no feed that can be read"), "{failure:?}"),
    }
}
