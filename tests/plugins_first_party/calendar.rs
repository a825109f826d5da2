//! Calendars over the days when clocks change, against another reckoner.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{Function, printed};
use crate::support::guests;
use crate::support::home::Home;
use crate::support::library::Job;

fn plugin() -> Option<PathBuf> {
    guests::scripted_plugin("calendar")
}

fn call(plugin: &Path, function: &str, params: &Value) -> Value {
    Job::file(plugin).function(function).params(params.clone()).finish().json().clone()
}

fn refused(plugin: &Path, function: &str, params: Value) -> String {
    Job::file(plugin).function(function).params(params).finish().failure().1.to_owned()
}

fn calendar(events: &str) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n{}END:VCALENDAR\r\n", events.replace('\n', "\r\n"))
}

/// An event of half an hour with a rule.
fn series(zone: &str, start: &str, rule: &str) -> String {
    calendar(&format!("BEGIN:VEVENT\nUID:s\nSUMMARY:s\nDTSTART;TZID={zone}:{start}\nDURATION:PT30M\nRRULE:{rule}\nEND:VEVENT\n"))
}

const OFFICE: &str = "BEGIN:VEVENT\nUID:daily\nSUMMARY:Stand-up\nLOCATION:Room 1\\, left\nDTSTART;TZID=Europe/Berlin:20260327T090000\n\
    DTEND;TZID=Europe/Berlin:20260327T093000\nRRULE:FREQ=DAILY;COUNT=5\nRDATE;TZID=Europe/Berlin:20260327T170000\n\
    EXDATE;TZID=Europe/Berlin:20260328T090000\nEND:VEVENT\n\
    BEGIN:VEVENT\nUID:daily\nSUMMARY:Stand-up later\nRECURRENCE-ID;TZID=Europe/Berlin:20260330T090000\n\
    DTSTART;TZID=Europe/Berlin:20260330T140000\nDURATION:PT1H\nEND:VEVENT\n\
    BEGIN:VEVENT\nUID:trip\nSUMMARY:Trip\nDTSTART;VALUE=DATE:20260328\nDTEND;VALUE=DATE:20260331\nSTATUS:TENTATIVE\nEND:VEVENT\n\
    BEGIN:VEVENT\nUID:float\nSUMMARY:Floating\nDTSTART:20260401T080000\nEND:VEVENT\n";

/// Start, end and title of each event.
fn shown(found: &Value) -> Vec<String> {
    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    let events = found["events"].as_array().unwrap().iter();
    events.map(|event| format!("{} {} {}", text(event, "starts"), text(event, "ends"), text(event, "title"))).collect()
}

#[test]
fn a_week_in_which_the_clocks_change_is_expanded() {
    let Some(plugin) = plugin() else { return };
    let home = Home::new();
    let params = json!({ "text": calendar(OFFICE), "since": "2026-03-27", "until": "2026-04-03", "zone": "Europe/Berlin" });
    let found = Function::at(&home, &plugin, "ics.events").gives(&params);
    let expected = [
        "2026-03-27T09:00:00+01:00 2026-03-27T09:30:00+01:00 Stand-up",
        "2026-03-27T17:00:00+01:00 2026-03-27T17:30:00+01:00 Stand-up",
        "2026-03-28 2026-03-31 Trip",
        "2026-03-29T09:00:00+02:00 2026-03-29T09:30:00+02:00 Stand-up",
        "2026-03-30T14:00:00+02:00 2026-03-30T15:00:00+02:00 Stand-up later",
        "2026-03-31T09:00:00+02:00 2026-03-31T09:30:00+02:00 Stand-up",
        "2026-04-01T08:00:00+02:00 2026-04-01T08:00:00+02:00 Floating",
    ];
    assert_eq!((shown(&found), &found["truncated"]), (expected.map(str::to_owned).to_vec(), &json!(false)));
    let fields = |place: usize| ["location", "all_day", "recurring", "status"].map(|name| found["events"][place][name].clone());
    assert_eq!(fields(0), [json!("Room 1, left"), json!(false), json!(true), json!(null)]);
    assert_eq!(fields(2), [json!(null), json!(true), json!(false), json!("TENTATIVE")]);
}

#[test]
fn a_span_ends_where_it_ends() {
    let Some(plugin) = plugin() else { return };
    let during = |since: &str, until: &str, zone: &str| {
        let params = json!({ "text": calendar(OFFICE), "since": since, "until": until, "zone": zone });
        shown(&call(&plugin, "ics.events", &params)).iter().map(|line| line.split(' ').nth(2).unwrap().to_owned()).collect::<Vec<_>>()
    };
    // Half past nine is the end, and no more part of it.
    assert_eq!(during("2026-03-27T08:30:00Z", "2026-03-27T16:00:00Z", "UTC"), [""; 0]);
    assert_eq!(during("2026-03-27T08:29:59Z", "2026-03-27T16:00:01Z", "UTC"), ["Stand-up", "Stand-up"]);
    // The trip's days are those of whoever asks.
    assert_eq!(during("2026-03-27T20:00:00Z", "2026-03-27T22:59:00Z", "Europe/Berlin"), [""; 0]);
    assert_eq!(during("2026-03-27T20:00:00Z", "2026-03-27T23:01:00Z", "Europe/Berlin"), ["Trip"]);
    assert_eq!(during("2026-03-27T20:00:00Z", "2026-03-27T22:59:00Z", "Asia/Tokyo"), ["Trip"]);
    // So is the clock of what floats.
    assert_eq!(during("2026-04-01T05:59:00Z", "2026-04-01T06:01:00Z", "Europe/Berlin"), ["Floating"]);
    assert_eq!(during("2026-04-01T05:59:00Z", "2026-04-01T06:01:00Z", "UTC"), [""; 0]);
}

/// Another reckoner: dateutil on the clock of the wall, zones by Python's own.
const RECKON: &str = "import sys, json\n\
    sys.path.insert(0, sys.argv[1])\n\
    from datetime import datetime, timezone\n\
    from zoneinfo import ZoneInfo\n\
    from dateutil.rrule import rrulestr\n\
    zone, start, rule, since, until = sys.argv[2:]\n\
    at = lambda text: datetime.fromisoformat(text)\n\
    wall = rrulestr(rule, dtstart=datetime.strptime(start, '%Y%m%dT%H%M%S'), ignoretz=True)\n\
    found = []\n\
    for time in wall:\n\
    \x20   moment = time.replace(tzinfo=ZoneInfo(zone)).astimezone(timezone.utc)\n\
    \x20   if moment >= at(until): break\n\
    \x20   if moment >= at(since): found.append(moment.strftime('%Y-%m-%dT%H:%M:%S+00:00'))\n\
    print(json.dumps(found))\n";

#[test]
fn rules_are_expanded_as_another_reckoner_does_it() {
    let Some(plugin) = plugin() else { return };
    let packages = plugin.parent().unwrap().join("packages");
    let (since, until) = ("2026-01-01T00:00:00+00:00", "2026-12-31T00:00:00+00:00");
    for (zone, start, rule) in [
        // Of RFC 5545, 3.8.5.3.
        ("America/New_York", "19970902T090000", "FREQ=WEEKLY;INTERVAL=2;WKST=SU"),
        ("America/New_York", "19970905T090000", "FREQ=MONTHLY;BYDAY=1FR"),
        ("America/New_York", "19970922T090000", "FREQ=MONTHLY;BYDAY=-2MO"),
        ("America/New_York", "19970928T090000", "FREQ=MONTHLY;BYMONTHDAY=-3"),
        ("America/New_York", "19960101T090000", "FREQ=YEARLY;INTERVAL=3;BYYEARDAY=1,100,200"),
        ("America/New_York", "19970519T090000", "FREQ=YEARLY;BYDAY=20MO"),
        ("America/New_York", "19970512T090000", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO"),
        ("America/New_York", "19970902T090000", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13"),
        ("America/New_York", "19961105T090000", "FREQ=YEARLY;INTERVAL=2;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8"),
        ("America/New_York", "19970904T090000", "FREQ=MONTHLY;BYDAY=TU,WE,TH;BYSETPOS=3"),
        // Across the days when clocks change, by half an hour too.
        ("Europe/Berlin", "20260301T083000", "FREQ=DAILY;COUNT=60"),
        ("America/Sao_Paulo", "20251001T000000", "FREQ=WEEKLY;BYDAY=MO,TH;COUNT=100"),
        ("Australia/Lord_Howe", "20260320T233000", "FREQ=DAILY;COUNT=40"),
        ("Asia/Kathmandu", "20260131T060000", "FREQ=MONTHLY;BYMONTHDAY=31"),
        ("Africa/Casablanca", "20260201T120000", "FREQ=WEEKLY;COUNT=12"),
        ("Pacific/Apia", "20260101T010000", "FREQ=MONTHLY;BYDAY=SU;BYSETPOS=-1"),
    ] {
        let params = json!({ "text": series(zone, start, rule), "since": since, "until": until, "limit": 1000 });
        let found = call(&plugin, "ics.events", &params);
        let starts: Vec<&str> = found["events"].as_array().unwrap().iter().map(|event| event["starts"].as_str().unwrap()).collect();
        let mut reckoner = Command::new("python3");
        reckoner.args(["-c", RECKON]).arg(&packages).args([zone, start, rule, since, until]);
        let expected: Vec<String> = serde_json::from_str(&printed(&mut reckoner)).unwrap();
        assert!(!expected.is_empty(), "{rule}");
        assert_eq!(starts, expected, "{zone} {start} {rule}");
    }
}

#[test]
fn what_is_created_reads_back_as_it_was_meant() {
    let Some(plugin) = plugin() else { return };
    let events = json!([
        { "title": "Grüße; a, b\nc", "starts": "2026-10-23T09:00:00", "zone": "Europe/Berlin", "rule": "FREQ=DAILY;COUNT=4", "location": "x".repeat(100) },
        { "title": "Days", "starts": "2026-10-24", "ends": "2026-10-26", "uid": "u@x" },
        { "title": "Call", "starts": "2026-10-25T10:00:00-04:00", "ends": "2026-10-25T10:15:00-04:00", "zone": "America/New_York" },
    ]);
    let text = call(&plugin, "ics.create", &json!({ "events": events, "name": "Mine" }));
    let text = text.as_str().unwrap();
    assert!(text.contains("BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\n") && text.contains("X-WR-CALNAME:Mine\r\n"), "{text}");
    assert!(text.lines().all(|line| line.len() <= 75), "lines are folded");
    let found =
        call(&plugin, "ics.events", &json!({ "text": text, "since": "2026-10-23", "until": "2026-11-01", "zone": "Europe/Berlin" }));
    let starts: Vec<&str> = found["events"].as_array().unwrap().iter().map(|event| event["starts"].as_str().unwrap()).collect();
    let expected = [
        "2026-10-23T09:00:00+02:00",
        "2026-10-24",
        "2026-10-24T09:00:00+02:00",
        "2026-10-25T09:00:00+01:00",
        "2026-10-25T15:00:00+01:00",
        "2026-10-26T09:00:00+01:00",
    ];
    assert_eq!(starts, expected);
    assert_eq!((&found["events"][0]["title"], &found["events"][1]["uid"]), (&json!("Grüße; a, b\nc"), &json!("u@x")));
}

#[test]
fn what_does_not_hold_is_refused_in_words() {
    let Some(plugin) = plugin() else { return };
    let events = |name: &str, value: Value| {
        let mut params = json!({ "text": calendar(OFFICE), "since": "2026-01-01", "until": "2026-02-01" });
        params[name] = value;
        refused(&plugin, "ics.events", params)
    };
    for (name, value, why) in [
        ("text", json!("nope"), "it is no calendar that can be read"),
        ("text", json!(""), "it is no calendar that can be read"),
        ("text", json!(calendar("BEGIN:VEVENT\nUID:x\nEND:VEVENT\n")), "an event has no start"),
        ("text", json!(series("UTC", "20260101T000000", "FREQ=SECONDLY")), "more often than hourly"),
        ("since", json!("yesterday"), "`since` should be RFC 3339 or a date"),
        ("since", json!("2026-01-01T00:00:00"), "`since` should be RFC 3339 or a date"),
        ("until", json!("2025-01-01"), "`until` should lie behind `since`"),
        ("until", json!("2036-01-01"), "`until` should lie behind `since`, by at most 1098 days"),
        ("zone", json!("../etc/passwd"), "`../etc/passwd` is no time zone"),
        ("limit", json!(0), "`limit` is 0: expected 1 to 1000"),
    ] {
        let said = events(name, value.clone());
        assert!(said.contains(why), "{value}: {said}");
    }
    let create = |name: &str, value: &str| {
        let mut event = json!({ "title": "x", "starts": "2026-03-29T09:00:00", "zone": "Europe/Berlin" });
        event[name] = json!(value);
        refused(&plugin, "ics.create", json!({ "events": [event] }))
    };
    for (name, value, why) in [
        ("starts", "2026-03-29T02:30:00", "is skipped by the clocks of Europe/Berlin"),
        ("starts", "29.3.2026", "`starts` should be a time or a date"),
        ("ends", "2026-03-29T08:00:00", "`ends` should lie behind `starts`"),
        ("ends", "2026-03-30", "both be dates, or both be times"),
        ("zone", "Mars/Olympus", "`Mars/Olympus` is no time zone"),
        ("rule", "FREQ=SOMETIMES", "`rule` does not hold"),
        ("rule", "FREQ=DAILY\r\nATTENDEE:x", "`rule` should be one rule"),
    ] {
        let said = create(name, value);
        assert!(said.contains(why), "{name} {value}: {said}");
    }
}

#[test]
fn a_rule_without_end_is_cut_where_enough_is_found() {
    let Some(plugin) = plugin() else { return };
    let params =
        json!({ "text": series("UTC", "20260101T000000", "FREQ=HOURLY"), "since": "2026-01-01", "until": "2028-12-31", "limit": 5 });
    let found = call(&plugin, "ics.events", &params);
    assert_eq!((found["events"].as_array().unwrap().len(), &found["truncated"]), (5, &json!(true)));
}
