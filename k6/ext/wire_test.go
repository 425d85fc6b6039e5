package ext

import (
	"testing"
	"time"
)

func TestTheClockIsBelievedWhereItIsNearTheCountdown(t *testing.T) {
	now := time.Now()
	in := func(d time.Duration) int64 { return now.Add(d).UnixNano() }
	for _, c := range []struct {
		order    order
		expected time.Duration
	}{
		{order{InNanos: int64(time.Second)}, time.Second},
		{order{InNanos: int64(time.Second), AtUnixNanos: in(980 * time.Millisecond)}, 980 * time.Millisecond},
		{order{InNanos: int64(time.Second), AtUnixNanos: in(1030 * time.Millisecond)}, 1030 * time.Millisecond},
		{order{InNanos: int64(time.Second), AtUnixNanos: in(time.Hour)}, time.Second},
		{order{InNanos: -5, AtUnixNanos: in(-5)}, -5},
	} {
		if got := c.order.instant(now).Sub(now); got != c.expected {
			t.Errorf("%+v means in %s, want in %s", c.order, got, c.expected)
		}
	}
}
