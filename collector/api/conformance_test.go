package api

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rollcall-itam/rollcall/collector/connect"
	"github.com/rollcall-itam/rollcall/collector/feed"
	"github.com/rollcall-itam/rollcall/collector/notify"
	"github.com/rollcall-itam/rollcall/collector/store"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
	storagepb "github.com/rollcall-itam/rollcall/proto/storage"
)

// conformance asks every call of the service what https://google.aip.dev promises
// of it. Calls are found in the description of the service, so that one that is
// added is needed as well, or the test says what it must be told of it.
type conformance struct {
	*sites
	conn *grpc.ClientConn
	ctx  context.Context
	ids  map[string]string
}

// unpaged has nothing to page through in the world of this test: advisories are
// fetched from elsewhere, and collector's own test pages through those.
var unpaged = []string{"ListVulnerabilities", "ListAssetVulnerabilities"}

func newConformance(t *testing.T) *conformance {
	c := &conformance{sites: newSites(t)}
	c.tells(t)
	c.conn = dial(t, c.service)
	c.ctx = metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+c.admin)
	c.must("POST", "/v1/assets/"+c.inside+":assert", `{"not_same_as":["`+c.outside+`"],"set":{"stage":"in_repair"}}`)
	c.must("POST", "/v1/assets/"+c.inside+":assert", `{"set":{"stage":"in_stock"}}`)
	c.must("POST", "/v1/assets/"+c.inside+":assert", `{"set":{"location":{"site":"x"}},"clear":["stage"]}`)
	c.must("POST", "/v1/assets/"+c.outside+":assert", `{"not_same_as":["jamf/2"]}`)
	c.must("POST", "/v1/people/ann@example.com:assert", `{"set":{"department":"Sales"}}`)
	for _, id := range []string{"one", "two"} {
		c.must("POST", "/v1/views", `{"id":"`+id+`","filter":"true"}`)
	}
	err := c.service.Store.Update(t.Context(), func(tx *store.Tx) error {
		for _, id := range []string{"one", "two"} {
			if err := tx.PutEnrolment(&storagepb.EnrolmentRecord{AgentId: id, Hostname: id}); err != nil {
				return err
			}
			if err := tx.PutErasure(&storagepb.ErasureRecord{Id: id}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.ids = map[string]string{"ListSoftwareAssets": c.product, "ListAssetSoftware": c.inside, "GetAssetHistory": c.inside, "ListAssetVulnerabilities": c.inside, "GetAsset": c.inside,
		"GetPersonHistory": "ann@example.com"}
	return c
}

// tells has a collector that connects systems, of which there are none, and tells
// receivers, of which there are none.
func (c *conformance) tells(t *testing.T) {
	vault, err := connect.OpenVault(filepath.Join(t.TempDir(), "vault"))
	if err != nil {
		t.Fatal(err)
	}
	o := connect.Options{Store: c.service.Store, Catalog: c.catalog, Vault: vault, DataDir: t.TempDir(), Logger: c.service.Logger, Now: time.Now}
	if o.Runner, err = feed.New(feed.Options{Logger: o.Logger, Now: o.Now, Getenv: func(string) string { return "" }}, nil); err != nil {
		t.Fatal(err)
	}
	c.service.Feeds = o.Runner
	if c.service.Connections, err = connect.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	c.service.Notifications, err = notify.Open(t.Context(), notify.Options{Store: o.Store, Catalog: o.Catalog, Changes: c.service.changes, Vault: vault, Logger: o.Logger, Now: o.Now,
		Title: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
}

// callsWith are the methods of the service whose requests have a field.
func callsWith(field protoreflect.Name) (found []protoreflect.MethodDescriptor) {
	methods := adminpb.File_rollcall_v1_admin_proto.Services().ByName("AdminService").Methods()
	for i := range methods.Len() {
		if methods.Get(i).Input().Fields().ByName(field) != nil {
			found = append(found, methods.Get(i))
		}
	}
	return found
}

// request is a call that is answered, with some of its fields set.
func (c *conformance) request(m protoreflect.MethodDescriptor, set map[string]any) proto.Message {
	c.t.Helper()
	r := c.message(m.Input())
	if id := m.Input().Fields().ByName("id"); id != nil {
		if c.ids[string(m.Name())] == "" && set["id"] == nil {
			c.t.Fatalf("say in newConformance which id %s may be needed for", m.Name())
		}
		r.ProtoReflect().Set(id, protoreflect.ValueOfString(c.ids[string(m.Name())]))
	}
	for name, value := range set {
		f := m.Input().Fields().ByName(protoreflect.Name(name))
		if when, ok := value.(*timestamppb.Timestamp); ok {
			value = when.ProtoReflect()
		}
		r.ProtoReflect().Set(f, protoreflect.ValueOf(value))
	}
	return r
}

// call makes a call, and of one that streams reads the first answer.
func (c *conformance) call(m protoreflect.MethodDescriptor, set map[string]any) (protoreflect.Message, error) {
	c.t.Helper()
	answer, path := c.message(m.Output()), adminService+string(m.Name())
	if !m.IsStreamingServer() {
		err := c.conn.Invoke(c.ctx, path, c.request(m, set), answer)
		return answer.ProtoReflect(), err
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	stream, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path)
	if err == nil {
		if err = stream.SendMsg(c.request(m, set)); err == nil {
			err = stream.RecvMsg(answer)
		}
	}
	return answer.ProtoReflect(), err
}

// refused holds an answer to be an error of the caller that says some words.
func (c *conformance) refused(what string, err error, code codes.Code, words ...string) {
	c.t.Helper()
	if status.Code(err) != code {
		c.t.Errorf("%s: %v, want %v", what, err, code)
		return
	}
	for _, w := range words {
		if !strings.Contains(status.Convert(err).Message(), w) {
			c.t.Errorf("%s says nothing of %s: %v", what, w, err)
		}
	}
}

// items are what a page holds.
func items(page protoreflect.Message) protoreflect.List {
	fields := page.Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); f.IsList() && f.Message() != nil {
			return page.Get(f).List()
		}
	}
	return nil
}

func nextOf(page protoreflect.Message) string {
	return page.Get(page.Descriptor().Fields().ByName("next_page_token")).String()
}

// Every call keeps what the AIPs promise of it.
func TestConformance(t *testing.T) {
	c := newConformance(t)
	c.listsArePaged()
	c.ordersAreChecked()
	c.masksAreChecked()
	c.whatDoesNotExistIsNotFound()
	c.writesTakeAnIdempotencyKey()
}

// Every list is paged as AIP-158 says, and takes no token but its own.
func (c *conformance) listsArePaged() {
	t := c.t
	other, err := c.call(callsWith("as_of")[0], map[string]any{"page_size": int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range callsWith("page_token") {
		name := string(m.Name())
		for _, size := range []int32{0, math.MaxInt32} {
			if page, err := c.call(m, map[string]any{"page_size": size}); err != nil || items(page).Len() == 0 && !slices.Contains(unpaged, name) {
				t.Errorf("%s of page_size %d: %v %v", name, size, page, err)
			}
		}
		_, err := c.call(m, map[string]any{"page_size": int32(-1)})
		c.refused(name+" of page_size -1", err, codes.InvalidArgument, "page_size is -1: ask for 1 to")
		for what, token := range map[string]string{"forged": "Zm9yZ2Vk", "no token": "$", "long": strings.Repeat("A", 5000), "of another list": nextOf(other)} {
			if what == "of another list" && name == "ListAssets" {
				continue
			}
			_, err := c.call(m, map[string]any{"page_token": token})
			c.refused(name+" with a page_token, "+what, err, codes.InvalidArgument, "page_token")
		}
		if !slices.Contains(unpaged, name) {
			c.pages(m)
		}
	}
}

// others are values of fields that ask for another list.
var others = map[string]any{"filter": "asset.name != \"x\"", "order_by": "name desc", "view": "one", "severity": "high", "state": "open", "status": "active",
	"as_of": timestamppb.New(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)), "since": timestamppb.New(time.Unix(1, 0)), "until": timestamppb.New(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)),
	"rule": "encrypted", "version": "1", "field": "stage"}

// pages follows a list that has more than one page, and changes the question.
func (c *conformance) pages(m protoreflect.MethodDescriptor) {
	name := string(m.Name())
	first, err := c.call(m, map[string]any{"page_size": int32(1)})
	if err != nil || items(first).Len() != 1 || nextOf(first) == "" {
		c.t.Errorf("%s has no second page: %v, %v; make two of these in newConformance", name, first, err)
		return
	}
	second, err := c.call(m, map[string]any{"page_size": int32(1), "page_token": nextOf(first)})
	if err != nil || items(second).Len() != 1 || proto.Equal(items(first).Get(0).Message().Interface(), items(second).Get(0).Message().Interface()) {
		c.t.Errorf("%s: the second page is %v, %v", name, second, err)
	}
	forged := []byte(nextOf(first))
	forged[len(forged)/2] ^= 1
	_, err = c.call(m, map[string]any{"page_token": string(forged)})
	c.refused(name+" with a page_token of which a letter was changed", err, codes.InvalidArgument, "page_token")
	fields := m.Input().Fields()
	for i := range fields.Len() {
		f := string(fields.Get(i).Name())
		if f == "page_size" || f == "page_token" || f == "fields" || f == "id" {
			continue // these may differ from page to page
		}
		value := others[f]
		if value == nil {
			value = "x"
		}
		_, err := c.call(m, map[string]any{"page_token": nextOf(first), f: value})
		// Where the value makes no sense either, it may be this that is said.
		c.refused(fmt.Sprintf("%s with a page_token and another %s", name, f), err, codes.InvalidArgument)
	}
}

// What is sorted by is checked, and the error names what there is (AIP-132).
func (c *conformance) ordersAreChecked() {
	for _, m := range callsWith("order_by") {
		for order, words := range map[string][]string{"shoe_size": {"order_by", "shoe_size", "name"}, "name up": {"order_by"}, "a,b": {"order_by"}, "name desc desc": {"order_by"}} {
			_, err := c.call(m, map[string]any{"order_by": order})
			c.refused(fmt.Sprintf("%s by %q", m.Name(), order), err, codes.InvalidArgument, words...)
		}
	}
}

// Masks name what is answered with, and nothing that there is not (AIP-157).
func (c *conformance) masksAreChecked() {
	t := c.t
	for _, m := range callsWith("fields") {
		name := string(m.Name())
		if !m.IsStreamingServer() && m.Input().Fields().ByName("page_token") == nil && name != "GetAsset" {
			continue // masks of what is changed: the tests of the calls have these
		}
		for _, fields := range []string{"no_such_field", "hardware.no_such_field", "name..x", ","} {
			_, err := c.call(m, map[string]any{"fields": fields})
			c.refused(name+" of fields "+fields, err, codes.InvalidArgument, "fields")
		}
		if m.IsStreamingServer() {
			continue // a file has columns
		}
		answer, err := c.call(m, map[string]any{"fields": "id,hardware.serial"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		only := answer
		if name != "GetAsset" {
			only = items(answer).Get(0).Message()
		}
		if text := shown(only.Interface()); !strings.Contains(text, "serial") || strings.Contains(text, "name") || strings.Contains(text, "manufacturer") {
			t.Errorf("%s of fields id,hardware.serial: %s", name, text)
		}
	}
}

// made are the calls whose id is that of something new, or of a thing that a call
// makes if it is not there; needed are those that need more than an id.
var (
	made   = []string{"PutSource", "PutRule", "CreateFeed", "TestFeed"}
	needed = map[string]map[string]any{
		"AcknowledgeFinding": {"reason": "x"}, "RevokeAgent": {"reason": "x"}, "AssertAsset": {"not_same_as": "x"}, "AssertPerson": {"not_same_as": "x"}, "ErasePerson": {"reason": "x"},
		"WaiveFinding": {"reason": "x", "until": timestamppb.New(time.Now().Add(time.Hour))}, "UpdateView": {"view": &adminpb.SavedView{Filter: "true"}},
	}
)

// What does not exist is NOT_FOUND, in every call that names one thing.
func (c *conformance) whatDoesNotExistIsNotFound() {
	for _, m := range callsWith("id") {
		name := string(m.Name())
		if slices.Contains(made, name) {
			continue
		}
		for _, id := range []string{"nope", "0198c0de-0000-7000-8000-000000000000", "nope.encrypted", strings.Repeat("n", 300), "../x", "\x00"} {
			set := map[string]any{"id": id}
			for field, value := range needed[name] {
				switch v := value.(type) {
				case *adminpb.SavedView:
					value = v.ProtoReflect()
				case string:
					if f := m.Input().Fields().ByName(protoreflect.Name(field)); f.IsList() {
						list := c.message(m.Input()).ProtoReflect().Mutable(f).List()
						list.Append(protoreflect.ValueOfString(v))
						value = list
					}
				}
				set[field] = value
			}
			if _, err := c.call(m, set); len(id) < 300 || name != "ErasePerson" { // of which a name that long is wrong
				c.refused(fmt.Sprintf("%s of %.20q", name, id), err, codes.NotFound)
			}
		}
	}
}

// A call that changes something and is repeated with its key is done once, and
// answered as before: every one that the description of the API has.
func (c *conformance) writesTakeAnIdempotencyKey() {
	t := c.t
	var doc struct {
		Paths map[string]map[string]struct{ OperationID string }
	}
	c.get("/openapi.json", &doc)
	writes := 0
	for path, operations := range doc.Paths {
		for method, op := range operations {
			if method == "get" || path == pushPath { // what is handed in twice is the same the second time
				continue
			}
			writes++
			path := strings.NewReplacer("{id}", "nope", "{source}", "jamf", "{source_id}", "nope", "{person}", "nope", "{subscription.id}", "nope").Replace(path)
			if strings.Contains(path, "{") {
				t.Fatalf("say here what stands for the parameters of %s", path)
			}
			token := c.token("admin")
			code, h, first := c.askWith(token, strings.ToUpper(method), path, "{}", idempotencyKey, op.OperationID)
			if h.Get("Idempotent-Replayed") != "" {
				t.Errorf("%s %s: the first is answered as a repetition", method, path)
			}
			again, h, second := c.askWith(token, strings.ToUpper(method), path, "{}", idempotencyKey, op.OperationID)
			if code >= 500 || again != code || string(first) != string(second) || h.Get("Idempotent-Replayed") != "true" {
				t.Errorf("%s %s: %d %s, and again %d %s (replayed %q)", method, path, code, first, again, second, h.Get("Idempotent-Replayed"))
			}
			if code, _, b := c.askWith(token, strings.ToUpper(method), path, `{"reason":"another"}`, idempotencyKey, op.OperationID); code != 422 {
				t.Errorf("%s %s: the key for another call: %d %s", method, path, code, b)
			}
		}
	}
	if writes < 30 {
		t.Errorf("the description has %d calls that change something", writes)
	}
}
