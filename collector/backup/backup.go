// Package backup copies the state of a database at one mark into files, and
// puts it back.
//
// A backup is a file of its own, or stands in a folder together with earlier
// ones and shares with them what did not change. Either way it is whole: there
// is no chain of increments to follow.
package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/rollcall-itam/rollcall/collector/kv"
)

// format is the version of the layout; one that is greater is refused.
const format = 1

// Extension ends the names of backups that are files.
const Extension = ".rcb"

// Header tells what was copied.
type Header struct {
	Format    int       `json:"format"`
	CreatedAt time.Time `json:"created_at"`
	// Program is the version of the program that wrote the backup.
	Program string  `json:"program"`
	Mark    kv.Mark `json:"mark"`
}

// Summary tells how much was copied.
type Summary struct {
	Records int64 `json:"records"`
	// Bytes counts keys and values before compression.
	Bytes  int64 `json:"bytes"`
	Chunks int   `json:"chunks"`
	Files  int   `json:"files"`
	// Digest is the SHA-256 of all chunks' IDs: two databases that have the
	// same one hold the same records.
	Digest string `json:"digest"`
}

// Info is what a backup says of itself.
type Info struct {
	Header
	Summary
}

// File is a small file beside the database that belongs to its state.
type File struct {
	// Name is relative, with slashes.
	Name    string      `json:"name"`
	Mode    fs.FileMode `json:"mode"`
	Content []byte      `json:"content"`
}

// Source is what a backup is made of.
type Source struct {
	DB    kv.Marked
	Files []File
	// Program is the version of this program.
	Program string
	// At is the time of the backup.
	At time.Time
	// Have are the chunks that the reader holds already.
	Have map[ID]bool
}

// Write writes the state that the database has now as an archive. Updates go on
// meanwhile and are not in it.
func Write(ctx context.Context, w io.Writer, s Source) (Info, error) {
	var info Info
	err := s.DB.ViewMarked(ctx, func(tx kv.Tx, mark kv.Mark) (err error) {
		info, err = write(ctx, w, s, tx, mark)
		return err
	})
	if err != nil {
		return info, fmt.Errorf("write a backup: %w", err)
	}
	return info, nil
}

func write(ctx context.Context, w io.Writer, s Source, tx kv.Tx, mark kv.Mark) (Info, error) {
	info := Info{Header: Header{Format: format, CreatedAt: s.At.UTC(), Program: s.Program, Mark: mark}}
	out, err := newFrameWriter(w)
	if err != nil {
		return info, err
	}
	if err := writeJSON(out, kindHeader, info.Header); err != nil {
		return info, err
	}
	compressor, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return info, fmt.Errorf("prepare to compress: %w", err)
	}
	defer compressor.Close()
	var packed []byte
	info.Summary, err = cut(ctx, tx, func(id ID, content []byte) error {
		if s.Have[id] {
			return out.write(kindReference, id[:])
		}
		packed = compressor.EncodeAll(content, packed[:0])
		return out.write(kindChunk, id[:], packed)
	})
	if err != nil {
		return info, err
	}
	for _, f := range s.Files {
		if err := writeJSON(out, kindFile, f); err != nil {
			return info, fmt.Errorf("file %s: %w", f.Name, err)
		}
		info.Files++
	}
	return info, writeJSON(out, kindEnd, info.Summary)
}

func writeJSON(out *frameWriter, kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return out.write(kind, b)
}

// cut reads all records of a transaction and calls emit with each chunk of them.
func cut(ctx context.Context, tx kv.Tx, emit func(ID, []byte) error) (Summary, error) {
	var sum Summary
	digest := sha256.New()
	c := cutter{emit: func(content []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		id := ID(sha256.Sum256(content))
		digest.Write(id[:])
		sum.Chunks++
		return emit(id, content)
	}}
	err := tx.Scan(nil, nil, func(key, value []byte) error {
		sum.Records++
		sum.Bytes += int64(len(key) + len(value))
		return c.add(key, value)
	})
	if err == nil {
		err = c.flush()
	}
	sum.Digest = hex.EncodeToString(digest.Sum(nil))
	return sum, err
}

// Measure tells how much a database holds, in the terms of a backup.
func Measure(ctx context.Context, db kv.DB) (Summary, error) {
	var sum Summary
	err := db.View(ctx, func(tx kv.Tx) (err error) {
		sum, err = cut(ctx, tx, func(ID, []byte) error { return nil })
		return err
	})
	if err != nil {
		return sum, fmt.Errorf("count records: %w", err)
	}
	return sum, nil
}
