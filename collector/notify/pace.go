package notify

import "time"

// When messages go out that are told at once: after a moment, in which what
// belongs together comes together, and the more of them there were lately, the
// longer.
const (
	settlePeople  = 2 * time.Second
	settleMachine = time.Second
	calmAfter     = 10 * time.Minute
)

// due returns when what began to happen at a time is to be told, given when
// messages were sent in the last hour, the latest last.
func (p pace) due(since, now time.Time, sent []time.Time) time.Time {
	var at time.Time
	switch {
	case !p.daily.IsZero():
		at = p.nextDaily(since)
	case p.window > 0:
		at = since.Add(p.window)
	default:
		at = p.soon(since, now, sent)
	}
	if n := len(sent) - p.perHour; n >= 0 {
		if free := sent[n].Add(time.Hour); free.After(at) {
			at = free
		}
	}
	return at
}

// soon is due for what is told at once. Each message within a while doubles how
// long the next has to wait: a fleet in trouble tells so once, and then the sum.
func (p pace) soon(since, now time.Time, sent []time.Time) time.Time {
	if p.machine {
		return since.Add(settleMachine)
	}
	at := since.Add(settlePeople)
	lately := 0
	for _, s := range sent {
		if now.Sub(s) < calmAfter {
			lately++
		}
	}
	if lately > 0 {
		pause := min(settlePeople<<min(lately, 10), calmAfter)
		if next := sent[len(sent)-1].Add(pause); next.After(at) {
			at = next
		}
	}
	return at
}

// nextDaily returns the first moment after another at which the digest is due. A
// time of day that a change of the clocks leaves out is the one an hour later.
func (p pace) nextDaily(after time.Time) time.Time {
	local := after.In(p.zone)
	for day := 0; ; day++ {
		at := time.Date(local.Year(), local.Month(), local.Day()+day, p.daily.Hour(), p.daily.Minute(), 0, 0, p.zone)
		if at.After(after) {
			return at
		}
	}
}

// lastHour returns the times that are not older than an hour, at most as many as
// decide anything.
func lastHour(sent []time.Time, now time.Time, most int) []time.Time {
	for len(sent) > 0 && (len(sent) > most || now.Sub(sent[0]) >= time.Hour) {
		sent = sent[1:]
	}
	return sent
}
