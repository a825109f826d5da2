// Times as feeds write them: RFC 3339 and its relatives, RFC 822 and its abuses.

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
// Hours from UTC of the zones that RFC 822 names, and of what is written for them.
const ZONES = { z: 0, ut: 0, utc: 0, gmt: 0, est: -5, edt: -4, cst: -6, cdt: -5, mst: -7, mdt: -6, pst: -8, pdt: -7 };

const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*(z|[+-]\d\d:?\d\d)?)?$/i;
const RFC822 = /^(?:[a-z]+,?\s+)?(\d{1,2})\s+([a-z]{3,9})\s+(\d{2}|\d{4})(?:\s+(\d{1,2}):(\d\d)(?::(\d\d))?(?:\s+([+-]\d{4}|[a-z]{1,3}))?)?$/i;

/** A time in UTC as RFC 3339 with milliseconds; nothing where it is none. */
export function rfc3339(text) {
  const trimmed = typeof text === 'string' ? text.trim() : '';
  const iso = ISO.exec(trimmed);
  if (iso) {
    const [, year, month, day, hour, minute, second, fraction, zone] = iso;
    const ms = Number((fraction ?? '').padEnd(3, '0').slice(0, 3));
    return instant([Number(year), Number(month) - 1, Number(day)], [hour, minute, second], ms, zone);
  }
  const named = RFC822.exec(trimmed);
  if (!named) return undefined;
  const [, day, month, year, hour, minute, second, zone] = named;
  // Two digits are RFC 822's; RFC 2822 says which century.
  const full = year.length === 4 ? Number(year) : Number(year) + (Number(year) < 50 ? 2000 : 1900);
  return instant([full, MONTHS.indexOf(month.slice(0, 3).toLowerCase()), Number(day)], [hour, minute, second], 0, zone);
}

function instant([year, month, day], clock, ms, zone) {
  const [hour, minute, second] = clock.map((part) => Number(part ?? 0));
  const offset = minutes(zone);
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  const holds = date.getUTCFullYear() === year && date.getUTCMonth() === month && date.getUTCDate() === day;
  // A leap second counts as the one before it.
  if (!holds || hour > 23 || minute > 59 || second > 60 || offset === undefined) return undefined;
  date.setUTCHours(hour, minute - offset, Math.min(second, 59), ms);
  return date.toISOString();
}

/** Minutes from UTC; nothing where the zone is unknown. */
function minutes(zone) {
  if (zone === undefined) return 0;
  const digits = /^([+-])(\d\d):?(\d\d)$/.exec(zone);
  if (!digits) return zone.toLowerCase() in ZONES ? ZONES[zone.toLowerCase()] * 60 : undefined;
  const [, sign, hours, rest] = digits;
  if (Number(hours) > 23 || Number(rest) > 59) return undefined;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(rest));
}
