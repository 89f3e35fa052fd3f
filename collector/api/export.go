package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rollcall-itam/rollcall/collector/export"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

// exportPath answers with assets as a file.
const exportPath = "/v1/assets:export"

const (
	// maxExports bounds how many are written at once: each keeps a core busy.
	maxExports = 4
	// exportBatch is how many assets are read in one transaction: one that a slow
	// client drags out would keep the store from throwing old data away.
	exportBatch = 100
	// exportChunk is the size of the parts in which a file goes out, in bytes.
	exportChunk = 64 << 10
)

// ExportAssets writes assets, or their software, as a file.
func (s *Service) ExportAssets(r *adminpb.ExportAssetsRequest, stream grpc.ServerStreamingServer[adminpb.ExportChunk]) error {
	e, err := s.newExport(stream.Context(), r)
	if err != nil {
		return err
	}
	defer e.done()
	out := bufio.NewWriterSize(chunks(patiently(s.patience, stream.Send)), exportChunk)
	if err = e.write(stream.Context(), out); err == nil {
		err = out.Flush()
	}
	if err != nil {
		return s.answer("write the export", err)
	}
	return nil
}

// chunks is a stream that is written to.
type chunks func(*adminpb.ExportChunk) error

// Write sends a part of the file.
func (c chunks) Write(b []byte) (int, error) {
	if err := c(&adminpb.ExportChunk{Data: b}); err != nil {
		return 0, err
	}
	return len(b), nil
}

// serveExport is ExportAssets over HTTP.
func (s *Service) serveExport(w http.ResponseWriter, r *http.Request) {
	began := s.Now()
	begun, err := s.exportTo(w, r)
	s.calls.answered("ExportAssets", err, s.Now().Sub(began))
	switch {
	case err == nil:
	case !begun:
		writeError(w, err)
	default:
		if r.Context().Err() == nil {
			s.Logger.Warn("an export was cut off", "error", err)
		}
		// What went out must not look like a whole file.
		panic(http.ErrAbortHandler) //nolint:forbidigo // the one way to have net/http cut the connection
	}
}

// exportTo answers with the file, and tells whether any of it may be out.
func (s *Service) exportTo(w http.ResponseWriter, r *http.Request) (begun bool, err error) {
	req := new(adminpb.ExportAssetsRequest)
	if err := (strictQuery{}).Parse(req, r.URL.Query(), noFilter); err != nil {
		return false, status.Error(codes.InvalidArgument, err.Error())
	}
	e, err := s.newExport(r.Context(), req)
	if err != nil {
		return false, err
	}
	defer e.done()
	h := w.Header()
	h.Set("Content-Type", export.ContentType(e.options.Format))
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="rollcall-%s.%s"`, s.Now().UTC().Format(time.DateOnly), e.options.Format))
	out := bufio.NewWriterSize(patientWriter{w, http.NewResponseController(w), s.patience}, exportChunk)
	if err = e.write(r.Context(), out); err == nil {
		err = out.Flush()
	}
	return true, err
}

// patientWriter lets an answer take long, as long as the client reads it.
type patientWriter struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
}

// Write sends a part of the answer.
func (w patientWriter) Write(b []byte) (int, error) {
	_ = w.control.SetReadDeadline(time.Time{})
	_ = w.control.SetWriteDeadline(time.Now().Add(w.patience)) // of the connection, not of the records
	return w.ResponseWriter.Write(b)
}

// exporting is an export under way.
type exporting struct {
	*Service
	options export.Options
	want    *mask
	ids     []string
	writer  *export.Writer
	// done lets another begin.
	done func()
}

// newExport finds what is to be written. Everything that can be wrong with a
// question is found here, before a byte of the answer is out.
func (s *Service) newExport(ctx context.Context, r *adminpb.ExportAssetsRequest) (*exporting, error) {
	e := &exporting{Service: s, options: export.Options{Format: r.GetFormat(), Software: r.GetSoftware()}}
	if e.options.Format == "" {
		e.options.Format = export.NDJSON
	}
	if !slices.Contains(export.Formats, e.options.Format) {
		return nil, status.Errorf(codes.InvalidArgument, "format %.20q is none of: %s", r.GetFormat(), strings.Join(export.Formats, ", "))
	}
	q := question{filter: r.GetFilter(), search: r.GetSearch(), fields: r.GetFields()}
	if err := s.under(ctx, r.GetView(), &q); err != nil {
		return nil, err
	}
	if err := checkQuery(q.search, ""); err != nil {
		return nil, err
	}
	if err := e.columns(q.fields); err != nil {
		return nil, err
	}
	select {
	case s.exports <- struct{}{}:
		e.done = func() { <-s.exports }
	default:
		return nil, later(codes.ResourceExhausted, fmt.Sprintf("%d exports are being written already: come back later", maxExports), retryLater)
	}
	var err error
	if e.ids, err = s.fleet(ctx).All(ctx, view.Query{Filter: q.filter, Search: q.search, Now: s.Now()}); err != nil {
		e.done()
		return nil, s.answerQuery("find the assets", err)
	}
	if err := s.record(ctx, adminpb.AdminService_ExportAssets_FullMethodName, r); err != nil {
		e.done()
		return nil, err
	}
	return e, nil
}

// columns works out what of each asset is read and written.
func (e *exporting) columns(fields string) error {
	var names []string
	if strings.TrimSpace(fields) != "" {
		for name := range strings.SplitSeq(fields, ",") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	e.options.Fields = names
	if len(names) == 0 && (e.options.Format != export.NDJSON || e.options.Software) {
		names = export.UsualFields(e.options.Software)
	}
	var err error
	e.want, err = parseMask(strings.Join(names, ","), (*pb.Asset)(nil).ProtoReflect().Descriptor())
	return err
}

// write writes the file.
func (e *exporting) write(ctx context.Context, w io.Writer) error {
	var err error
	if e.writer, err = export.New(w, e.options); err != nil {
		return err
	}
	for batch := range slices.Chunk(e.ids, exportBatch) {
		err := e.Store.View(ctx, func(tx *store.Tx) error {
			for _, id := range batch {
				if err := e.asset(ctx, tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return e.writer.Close()
}

// asset writes what is asked for of one asset; one that ended meanwhile is left
// out.
func (e *exporting) asset(ctx context.Context, tx *store.Tx, id string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	a, err := e.fleet(ctx).asset(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	from := a.GetProvenance()["software"]
	if err := e.present(tx, a, e.want); err != nil {
		return err
	}
	if !e.options.Software {
		return e.writer.Asset(a)
	}
	if from == nil {
		return nil
	}
	if err := e.writer.Begin(a); err != nil {
		return err
	}
	err = tx.ScanSoftware(store.Ref{Source: from.GetSource(), ID: from.GetSourceId()}, func(r store.SoftwareRow) error {
		return e.writer.Software(uint64(r.Title), func() (*pb.Software, error) { return tx.Title(r.Title) }, r.Installed, r.Used)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
