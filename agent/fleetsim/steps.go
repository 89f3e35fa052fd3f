package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/agent/report"
	"github.com/rollcall-itam/rollcall/pkg/synth"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// enrol gets a certificate, opens the connection that stays, and packs the
// device, so that reporting it is all that remains.
func (f *fleet) enrol(ctx context.Context, m *member) error {
	var err error
	if m.client, err = m.agent.Connect(ctx); err != nil {
		return err
	}
	if m.now, err = f.pack(m.device); err != nil {
		return err
	}
	m.digests = m.now.Digests()
	_, err = m.client.CheckIn(ctx, &pb.CheckInRequest{})
	return err
}

// first reports everything.
func (f *fleet) first(ctx context.Context, m *member) error {
	return m.report(ctx, m.now.Full(), 0)
}

func (m *member) report(ctx context.Context, e *report.Envelope, generation int64) error {
	client, err := m.agent.Connect(ctx)
	if err != nil {
		return err
	}
	resp, err := client.Report(ctx, e.For(generation, "fleetsim", "1"))
	if err == nil && resp.GetSendAll() {
		err = errors.New("the collector asks for everything")
	}
	m.generation = resp.GetGeneration()
	return err
}

// prepareDelta packs the changes of a device whose first report is made.
func (f *fleet) prepareDelta(_ context.Context, m *member) (err error) {
	if m.now == nil {
		return errors.New("mode delta needs mode first before it")
	}
	d := proto.CloneOf(m.device)
	d.Software = synth.Upgrade(d.GetSoftware(), changed, 1)
	if m.other, err = f.pack(d); err != nil {
		return err
	}
	if m.there, err = f.packer.Change(m.now, m.other); err != nil {
		return err
	}
	m.back, err = f.packer.Change(m.other, m.now)
	return err
}

// delta reports an upgrade of 20 titles, and the next time its undoing.
func (f *fleet) delta(ctx context.Context, m *member) error {
	if err := m.report(ctx, m.there, m.generation); err != nil {
		return err
	}
	m.there, m.back, m.now, m.other = m.back, m.there, m.other, m.now
	m.digests = m.now.Digests()
	return nil
}

// checkIn tells digests that the collector holds.
func (f *fleet) checkIn(ctx context.Context, m *member) error {
	if m.now == nil {
		return errors.New("mode checkin needs mode first before it")
	}
	resp, err := m.client.CheckIn(ctx, &pb.CheckInRequest{Sections: m.digests, Generation: m.generation, AgentVersion: "fleetsim", BootId: "1"})
	if err == nil && len(resp.GetWanted()) > 0 {
		err = fmt.Errorf("the collector wants %v of an unchanged device", resp.GetWanted())
	}
	return err
}

// handshake checks in over a new connection that resumes no session.
func (f *fleet) handshake(ctx context.Context, m *member) error {
	m.agent.Close()
	m.agent.ForgetSessions()
	defer m.agent.Close()
	var err error
	if m.client, err = m.agent.Connect(ctx); err != nil {
		return err
	}
	return f.checkIn(ctx, m)
}

// change reports, for each member, one state of its device after another, as
// its own agent would: check in, then send what is wanted.
func (f *fleet) change(ctx context.Context) error {
	acks := func(string, int) error { return nil }
	if f.Acks != "" {
		file, err := os.Create(f.Acks)
		if err != nil {
			return err
		}
		defer file.Close()
		var mu sync.Mutex
		w := bufio.NewWriterSize(file, 1)
		acks = func(name string, n int) error {
			mu.Lock()
			defer mu.Unlock()
			_, err := w.WriteString(name + " " + strconv.Itoa(n) + "\n")
			return errors.Join(err, w.Flush())
		}
	}
	next := make(map[*member]int, len(f.members))
	for _, m := range f.members {
		next[m] = 0
	}
	var mu sync.Mutex
	return f.each(ctx, "change", f.Reports, func(ctx context.Context, m *member) error {
		mu.Lock()
		next[m]++
		n := next[m]
		mu.Unlock()
		return f.changeOnce(ctx, m, n, acks)
	})
}

func (f *fleet) changeOnce(ctx context.Context, m *member, n int, acks func(string, int) error) error {
	d := proto.CloneOf(m.device)
	d.Os.Build = strconv.Itoa(n)
	d.Software = synth.Upgrade(d.GetSoftware(), changed, n)
	inv, err := f.pack(d)
	if err != nil {
		return err
	}
	for tries := 0; ; tries++ {
		answer, err := m.agent.Exchange(ctx, inv)
		switch {
		case err == nil && (answer.AssetID != "" || tries > 0):
			// After a lost reply the collector may say that it has it all.
			return acks(m.device.GetName(), n)
		case err == nil:
			return errors.New("a change was not asked for")
		case !f.Retry || report.Permanent(err):
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}
