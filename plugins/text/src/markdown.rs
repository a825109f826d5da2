//! Markdown to HTML that is safe to show unless somebody says otherwise.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, html};

use crate::bindings::Flavour;
use crate::{MAX_OUTPUT, bounded, too_long};

/// Schemes that only lead somewhere.
const SAFE_SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];

pub(crate) fn html(markdown: &str, flavour: Flavour, unsafe_html: bool) -> Result<String, String> {
    let options = match flavour {
        Flavour::CommonMark => Options::empty(),
        Flavour::Github => Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS,
    };
    let events = Parser::new_ext(markdown, options).map(|event| if unsafe_html { event } else { defused(event) });
    let mut page = Page(String::new());
    html::write_html_fmt(&mut page, events).map_err(|_| too_long())?;
    bounded(page.0)
}

/// What a browser would run is shown instead.
fn defused(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: safe(dest_url), title, id })
        }
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Image { link_type, dest_url: safe(dest_url), title, id })
        }
        other => other,
    }
}

/// The target of a link, or none where following it would run something.
///
/// Browsers drop tabs and line ends inside of a URL and control characters
/// before it (WHATWG URL, 4.4), so that `java\nscript:` is a scheme to them.
fn safe(target: CowStr<'_>) -> CowStr<'_> {
    let read: String = target.chars().filter(|letter| !letter.is_control()).collect();
    let read = read.trim_start();
    let Some((scheme, _)) = read.split_once(':') else { return target };
    // Before a slash, `?` or `#` a colon ends a scheme; behind one it is part of a path.
    let relative = scheme.contains(['/', '?', '#']);
    let known = SAFE_SCHEMES.iter().any(|safe| scheme.eq_ignore_ascii_case(safe));
    if relative || known { target } else { "".into() }
}

/// Text up to the limit: references in Markdown can make much of little.
struct Page(String);

impl std::fmt::Write for Page {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.0.len() + text.len() > MAX_OUTPUT {
            return Err(std::fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}
