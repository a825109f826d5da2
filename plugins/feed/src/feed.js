// Reads feeds: RSS, Atom and JSON Feed in one shape.
//
// Owns the shape and what a time is; reading XML and telling the formats apart is
// feedsmith's. Its reader expands no entities but XML's and HTML's own.

import { parseFeed } from 'feedsmith';
import { rfc3339 } from './time.js';

const USUAL_ITEMS = 100;
const MOST_ITEMS = 1000;

/** The interface of `wit/feed.wit`. */
export const reader = { parse };

function parse(text, limit) {
  const most = limit ?? USUAL_ITEMS;
  if (most === 0 || most > MOST_ITEMS) throw new Error(`\`limit\` is ${most}: expected 1 to ${MOST_ITEMS}`);
  const { format, feed } = read(text);
  const shape = { rss, rdf: rss, atom, json }[format];
  const channel = shape(feed, most);
  return { format, ...channel.head, items: channel.items.slice(0, most).map(channel.item), truncated: channel.items.length > most };
}

function read(text) {
  try {
    return parseFeed(text);
  } catch (error) {
    const why = error?.cause?.message;
    throw new Error(`it is no feed that can be read: ${error.message}${why ? ` (${why})` : ''}`);
  }
}

/** RSS of any version, with Dublin Core and content modules. */
function rss(feed) {
  const self = feed.atom?.links?.find((link) => link.rel === 'self');
  return {
    head: {
      title: feed.title,
      description: feed.description,
      url: feed.link,
      feedUrl: self?.href,
      language: feed.language ?? feed.dc?.languages?.[0],
      updated: rfc3339(feed.lastBuildDate ?? feed.pubDate ?? feed.dc?.dates?.[0]),
    },
    items: feed.items ?? [],
    item: (item) => {
      const permalink = item.guid && item.guid.isPermaLink !== false && /^https?:/i.test(item.guid.value) ? item.guid.value : undefined;
      const url = item.link ?? permalink;
      const full = item.content?.encoded;
      return {
        id: item.guid?.value ?? item.rdf?.about ?? url,
        title: item.title ?? item.dc?.titles?.[0],
        url,
        published: rfc3339(item.pubDate ?? item.dc?.dates?.[0]),
        updated: rfc3339(item.atom?.updated),
        authors: names([...(item.authors ?? []), ...(item.dc?.creators ?? [])]),
        summary: item.description,
        content: full === undefined ? undefined : { tag: 'html', val: full },
        categories: texts([...(item.categories ?? []).map((category) => category.name), ...(item.dc?.subjects ?? [])]),
        enclosures: files((item.enclosures ?? []).map(({ url, type, length }) => ({ url, type, bytes: length }))),
      };
    },
  };
}

function atom(feed) {
  const link = (links, rel) => links?.find((link) => (link.rel ?? 'alternate') === rel)?.href;
  return {
    head: {
      title: feed.title?.value,
      description: feed.subtitle?.value,
      url: link(feed.links, 'alternate'),
      feedUrl: link(feed.links, 'self'),
      language: feed.xml?.lang,
      updated: rfc3339(feed.updated),
    },
    items: feed.entries ?? [],
    item: (entry) => ({
      id: entry.id ?? link(entry.links, 'alternate'),
      title: entry.title?.value,
      url: link(entry.links, 'alternate'),
      published: rfc3339(entry.published),
      updated: rfc3339(entry.updated),
      authors: names(entry.authors ?? feed.authors ?? []),
      summary: entry.summary?.value,
      content: written(entry.content),
      categories: texts((entry.categories ?? []).map((category) => category.label ?? category.term)),
      enclosures: files(
        (entry.links ?? []).filter((link) => link.rel === 'enclosure').map(({ href, type, length }) => ({ url: href, type, bytes: length })),
      ),
    }),
  };
}

/** The content of Atom: HTML or text; what lies elsewhere or is something else is left out. */
function written(content) {
  if (content?.value === undefined) return undefined;
  if (content.type === 'html' || content.type === 'xhtml' || content.type === 'text/html') return { tag: 'html', val: content.value };
  const plain = content.type === undefined || content.type === 'text' || content.type === 'text/plain';
  return plain ? { tag: 'text', val: content.value } : undefined;
}

function json(feed) {
  return {
    head: {
      title: feed.title,
      description: feed.description,
      url: feed.home_page_url,
      feedUrl: feed.feed_url,
      language: feed.language,
      updated: undefined,
    },
    items: feed.items ?? [],
    item: (item) => ({
      id: item.id === undefined ? item.url : String(item.id),
      title: item.title,
      url: item.url ?? item.external_url,
      published: rfc3339(item.date_published),
      updated: rfc3339(item.date_modified),
      authors: names(item.authors ?? feed.authors ?? []),
      summary: item.summary,
      content: jsonContent(item),
      categories: texts(item.tags ?? []),
      enclosures: files((item.attachments ?? []).map(({ url, mime_type, size_in_bytes }) => ({ url, type: mime_type, bytes: size_in_bytes }))),
    }),
  };
}

function jsonContent(item) {
  if (item.content_html !== undefined) return { tag: 'html', val: item.content_html };
  return item.content_text === undefined ? undefined : { tag: 'text', val: item.content_text };
}

/** Names of people, who are texts or have a name, an address or a page. */
function names(people) {
  return texts(people.map((person) => (typeof person === 'string' ? person : (person.name ?? person.email ?? person.url ?? person.uri))));
}

/** The texts among values, each once. */
function texts(values) {
  return [...new Set(values.filter((value) => typeof value === 'string' && value !== ''))];
}

function files(found) {
  const whole = (bytes) => (Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined);
  return found.filter(({ url }) => typeof url === 'string').map(({ url, type, bytes }) => ({ url, mediaType: type, bytes: whole(bytes) }));
}
