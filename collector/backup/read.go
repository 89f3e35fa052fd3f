package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// visitor is called with what an archive holds, in its order; each may be nil.
// Slices are valid during the call only.
type visitor struct {
	header func(Header) error
	chunk  func(id ID, packed, content []byte) error
	file   func(File) error
}

// reading is one pass over an archive.
type reading struct {
	visitor
	frames *frameReader
	chunks *expander
	// kept returns the packed content of a chunk that the archive refers to.
	kept   func(ID) ([]byte, error)
	info   Info
	order  order
	digest hash.Hash
}

// visit reads an archive to its end and checks all of it. kept is nil where the
// archive must hold all of its chunks.
func visit(ctx context.Context, r io.Reader, kept func(ID) ([]byte, error), v visitor) (Info, error) {
	frames, err := newFrameReader(r)
	if err != nil {
		return Info{}, err
	}
	x, err := newExpander()
	if err != nil {
		return Info{}, err
	}
	defer x.in.Close()
	p := reading{visitor: v, frames: frames, chunks: x, kept: kept, digest: sha256.New()}
	if err := p.readHeader(); err != nil {
		return p.info, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return p.info, err
		}
		kind, payload, err := frames.next()
		if err != nil {
			return p.info, err
		}
		if kind == kindEnd {
			return p.info, p.readEnd(payload)
		}
		if err := p.frame(kind, payload); err != nil {
			return p.info, err
		}
	}
}

func (p *reading) readHeader() error {
	kind, payload, err := p.frames.next()
	if err != nil {
		return err
	}
	if kind != kindHeader || json.Unmarshal(payload, &p.info.Header) != nil {
		return damagedf("it has no header")
	}
	if p.info.Format != format {
		return fmt.Errorf("the backup has format %d, this program reads %d: use the version of Rollcall that wrote it (%s), or a newer one", p.info.Format, format, p.info.Program)
	}
	if p.header == nil {
		return nil
	}
	return p.header(p.info.Header)
}

func (p *reading) frame(kind byte, payload []byte) error {
	switch kind {
	case kindChunk, kindReference:
		return p.readChunk(kind, payload)
	case kindFile:
		var f File
		if err := json.Unmarshal(payload, &f); err != nil || !fs.ValidPath(f.Name) {
			return damagedf("a file in it has no usable name")
		}
		p.info.Files++
		if p.file == nil {
			return nil
		}
		return p.file(f)
	}
	return damagedf("it holds a frame of an unknown kind %q", kind)
}

func (p *reading) readChunk(kind byte, payload []byte) error {
	if len(payload) < sha256.Size || (kind == kindReference && len(payload) != sha256.Size) {
		return damagedf("a chunk in it has no name")
	}
	id, packed := ID(payload[:sha256.Size]), payload[sha256.Size:]
	if kind == kindReference {
		if p.kept == nil {
			return damagedf("chunk %s is missing: it belongs to a folder of backups", id)
		}
		var err error
		if packed, err = p.kept(id); err != nil {
			return err
		}
	}
	content, err := p.chunks.expand(id, packed)
	if err != nil {
		return err
	}
	p.digest.Write(id[:])
	p.info.Chunks++
	err = records(content, func(key, value []byte) error {
		p.info.Records++
		p.info.Bytes += int64(len(key) + len(value))
		return p.order.next(key)
	})
	if err != nil || p.chunk == nil {
		return err
	}
	return p.chunk(id, packed, content)
}

func (p *reading) readEnd(payload []byte) error {
	var claimed Summary
	if err := json.Unmarshal(payload, &claimed); err != nil {
		return damagedf("its end cannot be read: %v", err)
	}
	p.info.Digest = hex.EncodeToString(p.digest.Sum(nil))
	if claimed != p.info.Summary {
		return damagedf("it holds %d records and claims %d", p.info.Records, claimed.Records)
	}
	return p.frames.end()
}

// Bounds of one update of a restore, which leave room for a last record.
const (
	batchBytes  = kv.MaxTxSize - kv.MaxValueSize - kv.MaxKeySize - kv.WriteOverhead
	batchWrites = kv.MaxTxWrites - 1
	// loaders is how many updates wait at once for the engine's next sync.
	loaders = 4
)

// loader writes records into a database, many at once.
type loader struct {
	db      kv.DB
	ctx     context.Context // of the one restore that the loader is for
	updates *errgroup.Group
	pending [][2][]byte
	bytes   int
}

func newLoader(ctx context.Context, db kv.DB) *loader {
	l := &loader{db: db}
	l.updates, l.ctx = errgroup.WithContext(ctx)
	l.updates.SetLimit(loaders)
	return l
}

func (l *loader) add(key, value []byte) error {
	l.pending = append(l.pending, [2][]byte{slices.Clone(key), slices.Clone(value)})
	l.bytes += len(key) + len(value) + kv.WriteOverhead
	if l.bytes >= batchBytes || len(l.pending) >= batchWrites {
		l.flush()
	}
	return l.ctx.Err()
}

func (l *loader) flush() {
	batch := l.pending
	l.pending, l.bytes = nil, 0
	l.updates.Go(func() error {
		return l.db.Update(l.ctx, func(tx kv.Tx) error {
			for _, r := range batch {
				if err := tx.Set(r[0], r[1]); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func (l *loader) wait() error {
	if len(l.pending) > 0 {
		l.flush()
	}
	return l.updates.Wait()
}
