"""Which moment a call to Crossmint gets, out of a row that all callers share. Pure; times in whole microseconds.

Of `limit` calls a window, one in forty is the reserve's and the rest are the line's. Both are GCRA, the leaky
bucket that needs one number: the moment at which the next call would be on time.

- The line gives its calls one after another, `spacing` apart. Both lanes stand in it.
- The reserve is for priority calls that find others in the line. It lets `burst` of them go at once and has
  room for one more every `refill`. Bulk calls do not touch it, so however many stand in line, it is free.

**Never more than the limit.** A call has its *slot*, and leaves then or up to `grace` later, a fiftieth of the
window; afterwards the slot is forfeit. So what leaves within a window has slots within `span`, window and grace
together. The line has at most `span // spacing + 1` there, and n of the reserve are `(n - burst) * refill` apart
at least. With `spacing` just above `span / (limit - reserve)`, and `refill` just above
`span / (reserve - burst + 1)`, that is `limit - reserve` and `reserve`.

**Hardly less.** Bulk alone has `window / spacing`, which is 39/40 of 50/51 of the limit: 95.5 %, from a limit
of 40 on (and over 95 % from 33). 120 calls a minute are a line of 117 in 61.2 s, one every 0.523 s, with 2 at
once in the reserve and one more every 30.6 s; 360 are one every 0.174 s, with 5 at once and one more every 12.2 s.

**Clocks that are set.** A row remembers the time it was written at. If the clock says less, it was set back, and
no time is taken to have passed: everything is moved back with it, so nobody waits longer than before the change
and no call is early. Set forward, it looks as if that time had passed. Calls that wait for their slots find them
forfeit and queue anew, so the window in which it happens sees at most a reserve, what fits into `grace`, and two
calls more than the limit: 7 more of 120, 17 of 360.

Source: ITU-T I.371, the generic cell rate algorithm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

MICROSECONDS: Final = 1_000_000
_RESERVE: Final = 40
_GRACE: Final = 50


class Lane(StrEnum):
    """Who calls: somebody who waits for one transfer, or a payout of many."""

    PRIORITY = "priority"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one kind of call may go; see the module. `burst` is a number of calls, 0 without a reserve."""

    grace: int
    spacing: int
    burst: int
    refill: int

    @classmethod
    def of(cls, limit: int, window: int) -> Pace:
        """Return the pace for `limit` calls, 1 or more, in any window of that many microseconds."""
        grace = window // _GRACE
        span = window + grace
        reserve = max(limit // _RESERVE, 1) if limit > 1 else 0
        burst = (reserve + 1) // 2
        return cls(
            grace=grace,
            spacing=span // (limit - reserve) + 1,
            burst=burst,
            refill=span // (reserve - burst + 1) + 1,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """What all callers share. Each is a moment; a row of zeros was never used.

    `line` and `reserve`: when the next call of each would be on time. `refused_until`: the server wants none
    before. `seen`: when the row was written last.
    """

    line: int = 0
    reserve: int = 0
    refused_until: int = 0
    seen: int = 0

    def at(self, now: int) -> Row:
        """Return the row by a clock that says `now`; one that was set back is taken to have stood still."""
        back = max(0, self.seen - now)
        return Row(self.line - back, self.reserve - back, self.refused_until - back, now)


def next_slot(pace: Pace, row: Row, now: int, lane: Lane) -> tuple[int, Row]:
    """Return the earliest slot for one more call, `now` or later, and the row once it is taken."""
    row = row.at(now)
    earliest = max(now, row.refused_until)
    slot = max(earliest, row.line)
    if lane is Lane.PRIORITY and slot > earliest and pace.burst:
        spare = max(earliest, row.reserve - (pace.burst - 1) * pace.refill)
        if spare < slot:
            return spare, replace(row, reserve=max(spare, row.reserve) + pace.refill)
    return slot, replace(row, line=slot + pace.spacing)


def still_holds(pace: Pace, row: Row, slot: int, now: int) -> bool:
    """Tell whether a call whose slot it was may leave: not too late, and not while the server wants none."""
    return now - slot <= pace.grace and row.at(now).refused_until <= now


def refused(pace: Pace, row: Row, now: int, wait: int | None) -> Row:
    """Return the row after a 429 that asked to wait so long; the grace, where it did not say."""
    row = row.at(now)
    until = now + (pace.grace if wait is None else wait)
    return replace(row, refused_until=max(row.refused_until, until))
