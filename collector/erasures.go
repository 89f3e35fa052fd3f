package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/backup"
	"github.com/rollcall-itam/rollcall/collector/catalog"
	"github.com/rollcall-itam/rollcall/collector/enroll"
	"github.com/rollcall-itam/rollcall/collector/store"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// Files in the data folder: who was erased, for a restore of an older backup, and
// what such a restore left to be done at the next start.
const (
	erasuresName     = "erasures.jsonl"
	eraseAgainName   = "erase-again.jsonl"
	maxErasureLine   = 1 << 20
	backupClockSlack = time.Hour
)

// knownErasure is an erasure as it is kept beside the store. It holds nothing that
// names the person.
type knownErasure struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	// Marks are keyed hashes, in hexadecimal digits.
	Marks []string `json:"marks,omitempty"`
	// ReadmittedAt is when the person was taken in again, nil for never.
	ReadmittedAt *time.Time `json:"readmitted_at,omitempty"`
}

func knownOf(r *storagepb.ErasureRecord) knownErasure {
	k := knownErasure{ID: r.GetId(), At: r.GetAt().AsTime(), By: r.GetBy(), Reason: r.GetReason()}
	for _, m := range r.GetMarks() {
		k.Marks = append(k.Marks, hex.EncodeToString(m))
	}
	return k
}

func (k knownErasure) record() (*storagepb.ErasureRecord, error) {
	r := &storagepb.ErasureRecord{Id: k.ID, At: timestamppb.New(k.At), By: k.By, Reason: k.Reason}
	for _, m := range k.Marks {
		b, err := hex.DecodeString(m)
		if err != nil || len(b) != store.MarkSize {
			return nil, fmt.Errorf("erasure %s has a mark that is none", k.ID)
		}
		r.Marks = append(r.Marks, b)
	}
	return r, nil
}

// erasureList is erasures by their ids, in the order in which they were met.
type erasureList struct {
	ids  []string
	byID map[string]knownErasure
}

func (l *erasureList) add(k knownErasure) {
	if l.byID == nil {
		l.byID = make(map[string]knownErasure)
	}
	held, ok := l.byID[k.ID]
	if !ok {
		l.ids = append(l.ids, k.ID)
	}
	if len(k.Marks) == 0 {
		k.Marks, k.At, k.By, k.Reason = held.Marks, held.At, held.By, held.Reason
	}
	if k.ReadmittedAt == nil {
		k.ReadmittedAt = held.ReadmittedAt
	}
	l.byID[k.ID] = k
}

// readErasures adds the erasures of a file, one to a line. A last line that is cut
// off was being written when the machine stopped, and is passed over.
func (l *erasureList) readErasures(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read who was erased: %w", err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, maxErasureLine)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		last := errors.Is(err, io.EOF)
		if last && !json.Valid(line) {
			return nil
		}
		if err != nil && !last && !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("read who was erased: %w", err)
		}
		var k knownErasure
		if errors.Is(err, bufio.ErrBufferFull) || json.Unmarshal(line, &k) != nil || k.ID == "" {
			return fmt.Errorf("%s, line %d: it is no erasure: take the line out, and erase again whom it was about", path, n)
		}
		if _, err := k.record(); err != nil {
			return fmt.Errorf("%s, line %d: %w", path, n, err)
		}
		l.add(k)
		if last {
			return nil
		}
	}
}

func (l *erasureList) write(path string, ids []string) error {
	var all []byte
	for _, id := range ids {
		b, err := json.Marshal(l.byID[id])
		if err != nil {
			return fmt.Errorf("note who was erased: %w", err)
		}
		all = append(append(all, b...), '\n')
	}
	return enroll.WriteFile(path, all, 0o600)
}

// after returns the erasures that a backup does not know of, whose own are in had,
// and those that it does and that were taken back since.
func (l *erasureList) after(made time.Time, had map[string]bool) (missing []string) {
	for _, id := range l.ids {
		k := l.byID[id]
		since := !k.At.Before(made.Add(-backupClockSlack))
		if had[id] && k.ReadmittedAt != nil || !had[id] && since {
			missing = append(missing, id)
		}
	}
	return missing
}

// keepErasures keeps the file of erasures true to a store: what the store knows is
// in it, and what is erased later.
func keepErasures(ctx context.Context, dataDir string, st *store.Store, c *catalog.Catalog, log *slog.Logger) error {
	path := filepath.Join(dataDir, erasuresName)
	var l erasureList
	if err := l.readErasures(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	held := len(l.ids)
	err := st.View(ctx, func(tx *store.Tx) error {
		return tx.ScanErasures("", func(r *storagepb.ErasureRecord) error {
			if _, ok := l.byID[r.GetId()]; !ok {
				l.add(knownOf(r))
			}
			return ctx.Err()
		})
	})
	if err != nil {
		return fmt.Errorf("read who was erased: %w", err)
	}
	if len(l.ids) > held {
		if err := l.write(path, l.ids); err != nil {
			return err
		}
	}
	// Erasures run one after another, and so do the calls.
	c.OnErasure(func(r *storagepb.ErasureRecord, readmitted bool) {
		k := knownOf(r)
		if readmitted {
			now := time.Now().UTC()
			k.ReadmittedAt = &now
		}
		l.add(k)
		if err := l.write(path, l.ids); err != nil {
			log.Error("an erasure is not noted beside the store, which the next start mends; until then a restore of an older backup would not know of it", "erasure", k.ID, "error", err)
		}
	})
	return nil
}

// eraseAgain does what a restore left to be done: it erases whom the restored
// store had forgotten to have erased.
func eraseAgain(ctx context.Context, dataDir string, c *catalog.Catalog, log *slog.Logger) error {
	path := filepath.Join(dataDir, eraseAgainName)
	var l erasureList
	err := l.readErasures(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, id := range l.ids {
		r, err := l.byID[id].record()
		if err != nil {
			return err
		}
		found, err := c.EraseAgain(ctx, r)
		if err != nil {
			return err
		}
		log.Info("a person who was erased after the backup is erased again", "erasure", id, "found", found)
	}
	if err := c.FinishErasures(ctx); err != nil {
		return err
	}
	for _, id := range l.ids {
		if l.byID[id].ReadmittedAt == nil {
			continue
		}
		if err := c.DeleteErasure(ctx, l.byID[id].By, id); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("note that the erasures are done: %w", err)
	}
	return nil
}

// erasuresOf adds the erasures that a backup knows of, and returns their ids.
func (l *erasureList) erasuresOf(ctx context.Context, a backup.Archive) (map[string]bool, error) {
	had := make(map[string]bool)
	_, err := a.Records(ctx, func(key, value []byte) error {
		r, err := store.ErasureOf(key, value)
		if err == nil && r != nil {
			had[r.GetId()] = true
			l.add(knownOf(r))
		}
		return err
	})
	return had, err
}
