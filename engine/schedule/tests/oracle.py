"""An independent reckoner of cron schedules, to compare the engine with.

Written from the grammar alone, with the standard library's zoneinfo: no code,
no cron library and no search in common with the engine. It reads one JSON object
a line (`cron`, `zone`, `from`, `until`; the last two in Unix seconds) and answers
each with one JSON list of the slots later than `from`, up to and with `until`.

Days on which no clock is changed are products of the fields. The others are
written out minute by minute of real time.
"""

import bisect
import datetime
import functools
import json
import sys
import zoneinfo

DAY = 86400
UTC = datetime.timezone.utc
EPOCH = datetime.date(1970, 1, 1)
NAMES = {
    "month": "jan feb mar apr may jun jul aug sep oct nov dec".split(),
    "weekday": "sun mon tue wed thu fri sat".split(),
}
NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def number(text, kind):
    text = text.lower()
    if text in NAMES.get(kind, []):
        return NAMES[kind].index(text) + (1 if kind == "month" else 0)
    return int(text)


def values(field, low, high, kind=None):
    """The set of one field of plain values, ranges and steps."""
    found = set()
    for part in field.split(","):
        part, _, step = part.partition("/")
        first, dash, last = part.partition("-")
        if part == "*":
            begin, end = low, high
        elif dash:
            begin, end = number(first, kind), number(last, kind)
            if kind == "weekday" and last.lower() == "sun":
                end = 7
        else:
            begin = end = number(first, kind)
        found.update(range(begin, end + 1, int(step or 1)))
    return found


@functools.lru_cache(maxsize=None)
def length_of(day):
    following = (day.replace(day=28) + datetime.timedelta(days=4)).replace(day=1)
    return (following - datetime.timedelta(days=1)).day


def sunday_zero(day):
    return day.isoweekday() % 7


@functools.lru_cache(maxsize=None)
def working_days_of(year, month):
    first = datetime.date(year, month, 1)
    return [n for n in range(1, length_of(first) + 1) if first.replace(day=n).isoweekday() <= 5]


def working_days(day):
    """The Mondays to Fridays of a day's month."""
    return working_days_of(day.year, day.month)


def nearest_working_day(day, wanted):
    """The Monday to Friday nearest to a day of the month, within the month."""
    if wanted > length_of(day):
        return None
    # There is never a choice: a Saturday is nearer to Friday, a Sunday to Monday.
    return min(working_days(day), key=lambda other: abs(other - wanted))


@functools.lru_cache(maxsize=None)
def month_day_matches(field, day):
    for part in field.lower().split(","):
        if part == "l":
            hit = day.day == length_of(day)
        elif part == "lw":
            hit = day.day == max(working_days(day))
        elif part.endswith("w"):
            hit = day.day == nearest_working_day(day, int(part[:-1]))
        else:
            hit = day.day in values(part, 1, 31)
        if hit:
            return True
    return False


@functools.lru_cache(maxsize=None)
def week_day_matches(field, day):
    for part in field.lower().split(","):
        if "#" in part:
            name, nth = part.split("#")
            hit = sunday_zero(day) == number(name, "weekday") % 7 and (day.day + 6) // 7 == int(nth)
        elif part.endswith("l"):
            hit = sunday_zero(day) == number(part[:-1], "weekday") % 7 and day.day + 7 > length_of(day)
        else:
            hit = sunday_zero(day) in {value % 7 for value in values(part, 0, 7, "weekday")}
        if hit:
            return True
    return False


class Expression:
    def __init__(self, text):
        fields = NICKNAMES.get(text.lower(), text).split()
        if len(fields) == 5:
            fields = ["0"] + fields
        second, minute, hour, self.month_day, month, self.week_day = fields
        self.repeating = any("*" in field for field in (second, minute, hour))
        self.seconds = sorted(values(second, 0, 59))
        self.minutes = values(minute, 0, 59)
        self.hours = values(hour, 0, 23)
        self.months = values(month, 1, 12, "month")
        self.times = sorted(
            h * 3600 + m * 60 + s for h in self.hours for m in self.minutes for s in self.seconds
        )

    def day_matches(self, day):
        if day.month not in self.months:
            return False
        any_month_day, any_week_day = self.month_day in "*?", self.week_day in "*?"
        if any_month_day and any_week_day:
            return True
        if any_month_day:
            return week_day_matches(self.week_day, day)
        if any_week_day:
            return month_day_matches(self.month_day, day)
        return month_day_matches(self.month_day, day) or week_day_matches(self.week_day, day)


@functools.lru_cache(maxsize=None)
def zone(name):
    return zoneinfo.ZoneInfo(name)


@functools.lru_cache(maxsize=None)
def offset(name, second):
    moment = datetime.datetime.fromtimestamp(second, UTC).astimezone(zone(name))
    return int(moment.utcoffset().total_seconds())


@functools.lru_cache(maxsize=None)
def even_offset(name, number):
    """The offset of a local day (counted from 1970) with no change anywhere near it, else None."""
    hours = range((number - 2) * DAY, (number + 3) * DAY, 3600)
    offsets = {offset(name, second) for second in hours}
    return offsets.pop() if len(offsets) == 1 else None


@functools.lru_cache(maxsize=None)
def minutes_around(name, number):
    """(UTC second, wall clock second) of every minute from two days before a local day to two after."""
    minutes = []
    for hour in range((number - 2) * DAY, (number + 3) * DAY, 3600):
        # No zone changes its clock there and back within an hour.
        even = offset(name, hour) == offset(name, hour + 3600)
        minutes.extend(
            (second, second + offset(name, hour if even else second)) for second in range(hour, hour + 3600, 60)
        )
    return minutes


@functools.lru_cache(maxsize=None)
def by_wall(name, number):
    shown = {}
    for utc, wall in minutes_around(name, number):
        shown.setdefault(wall, []).append(utc)
    return shown


@functools.lru_cache(maxsize=None)
def end_of_gap(name, number, wall):
    """The first minute after a clock jumped over a wall clock time."""
    return next(utc for utc, shown in minutes_around(name, number) if shown > wall)


def slots_of_day(expression, name, number):
    even = even_offset(name, number)
    if even is not None:
        return [number * DAY + time - even for time in expression.times]
    found = set()
    for time in expression.times:
        wall = number * DAY + time - time % 60
        shown = by_wall(name, number).get(wall, [])
        if expression.repeating:
            found.update(utc + time % 60 for utc in shown)
        elif shown:
            found.add(shown[0] + time % 60)
        else:
            found.add(end_of_gap(name, number, wall))
    return found


def slots(request):
    expression, name = Expression(request["cron"]), request["zone"]
    begin, end = request["from"], request["until"]
    found = set()
    for number in range(begin // DAY - 2, end // DAY + 3):
        if expression.day_matches(EPOCH + datetime.timedelta(days=number)):
            found.update(slots_of_day(expression, name, number))
    ordered = sorted(found)
    return ordered[bisect.bisect_right(ordered, begin):bisect.bisect_right(ordered, end)]


def main():
    for line in sys.stdin:
        print(json.dumps(slots(json.loads(line)), separators=(",", ":")), flush=False)


if __name__ == "__main__":
    main()
