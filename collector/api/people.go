package api

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/rollcall-itam/rollcall/collector/identity"
	"github.com/rollcall-itam/rollcall/collector/store"
	"github.com/rollcall-itam/rollcall/collector/view"
	adminpb "github.com/rollcall-itam/rollcall/proto/admin"
)

// ListPeople answers with people in the order that is asked for.
func (s *Service) ListPeople(ctx context.Context, r *adminpb.ListPeopleRequest) (*adminpb.ListPeopleResponse, error) {
	limit, err := pageSize(r.GetPageSize(), defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	if err := checkQuery(r.GetSearch(), r.GetOrderBy()); err != nil {
		return nil, err
	}
	switch r.GetStatus() {
	case "", "active", "suspended", "departed":
	default:
		return nil, status.Errorf(codes.InvalidArgument, "status %.50q is none of: active, suspended, departed", r.GetStatus())
	}
	list := fmt.Sprintf("people %q %q %q %q", r.GetSearch(), r.GetStatus(), r.GetDepartment(), r.GetOrderBy())
	after, err := pageAfter(list, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	page, err := s.fleet(ctx).People(view.PeopleQuery{Search: r.GetSearch(), Status: r.GetStatus(), Department: r.GetDepartment(), OrderBy: r.GetOrderBy(), After: after, Limit: limit})
	if err != nil {
		return nil, s.answerQuery("find the people", err)
	}
	out := &adminpb.ListPeopleResponse{TotalSize: int32(page.Total)}
	if page.Last != "" {
		out.NextPageToken = nextPage(list, page.Last)
	}
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		for i, id := range page.IDs {
			p, err := tx.Person(id)
			if errors.Is(err, store.ErrNotFound) {
				continue // they ended a moment ago
			}
			if err != nil {
				return err
			}
			if err := s.Catalog.DatePerson(tx, p); err != nil {
				return err
			}
			// Groups and applications are many: GetPerson tells them.
			p.Groups, p.Apps = nil, nil
			p.DeviceCount = proto.Int32(int32(page.Devices[i]))
			out.People = append(out.People, p)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, s.answer("read the people", err)
	}
	return out, nil
}

// GetPerson answers with one person.
func (s *Service) GetPerson(ctx context.Context, r *adminpb.GetPersonRequest) (*adminpb.Person, error) {
	var p *adminpb.Person
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		f := s.fleet(ctx)
		if p, err = f.person(tx, r.GetId()); err != nil {
			return err
		}
		p.DeviceCount = proto.Int32(int32(len(f.With(addressesOf(p)...))))
		return s.Catalog.DatePerson(tx, p)
	})
	if err != nil {
		return nil, s.answer("read the person", err)
	}
	return p, nil
}

// person is findPerson of those whom the caller may see: who may see a part of
// the fleet may see the people who have some of it.
func (f fleet) person(tx *store.Tx, id string) (*adminpb.Person, error) {
	p, err := findPerson(tx, id)
	if f.scope == nil {
		return p, err
	}
	if err != nil && status.Code(err) == codes.Unknown {
		return nil, err
	}
	if err != nil || len(f.With(addressesOf(p)...)) == 0 {
		return nil, unknownPerson(id)
	}
	return p, nil
}

// findPerson returns the person with an id, present or former, or whom another
// name of theirs names alone.
func findPerson(tx *store.Tx, id string) (*adminpb.Person, error) {
	if len(id) > maxID {
		return nil, unknownPerson(id)
	}
	if _, err := uuid.Parse(id); err == nil {
		p, err := tx.ResolvePerson(id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, unknownPerson(id)
		}
		return p, err
	}
	for _, kind := range []string{identity.Email, identity.Account, identity.EmployeeID} {
		key, ok := identity.PersonKey(kind, "", id)
		if !ok {
			continue
		}
		p, err := tx.PersonByKey(key.Identifier(), identity.MaxClaimants)
		if !errors.Is(err, store.ErrNotFound) {
			return p, err
		}
		refs, err := tx.PersonClaimants(key.Identifier(), 1)
		if err != nil {
			return nil, err
		}
		if len(refs) > 0 {
			return nil, status.Errorf(codes.FailedPrecondition, "%s is not of one person alone: find whom you mean with GET /v1/people?search=%.100s, and ask by id", key, id)
		}
	}
	return nil, unknownPerson(id)
}

func unknownPerson(id string) error {
	return status.Errorf(codes.NotFound, "nobody is known as %.100q: find people with GET /v1/people?search=NAME", id)
}

// addressesOf returns the addresses under which assets name a person, in lower
// case.
func addressesOf(p *adminpb.Person) []string {
	var all []string
	for _, e := range p.GetEmails() {
		all = append(all, strings.ToLower(e))
	}
	if p.GetUpn() != "" {
		all = append(all, strings.ToLower(p.GetUpn()))
	}
	return all
}
