package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	pb "github.com/rollcall-itam/rollcall/proto/rollcall/v1"
)

type assetsCmd struct {
	List assetsListCmd `cmd:"" help:"List all assets."`
	Show assetsShowCmd `cmd:"" help:"Show one asset, by id, name or serial number."`
}

type assetsListCmd struct{}

// Run lists all assets, page after page.
func (assetsListCmd) Run(a *app) error {
	all, err := a.assets("")
	if err != nil {
		return err
	}
	return a.print(all, func() error {
		var rows [][]string
		for _, x := range all.GetAssets() {
			rows = append(rows, []string{x.GetName(), x.GetClass(), system(x.GetOs()), x.GetHardware().GetSerial(), x.GetHardware().GetModel(),
				or(x.GetOwner().GetEmail(), x.GetPrimaryUser().GetEmail(), x.GetPrimaryUser().GetName()), a.ago(x.GetLastSeen()), strconv.Itoa(int(x.GetSoftwareCount())), x.GetId()})
		}
		if len(rows) == 0 {
			_, err := fmt.Fprintln(a.out, "No assets yet: enrol a device with `rollcall token create --kind enroll` and rollcall-agent.")
			return err
		}
		return a.table([]string{"NAME", "CLASS", "OS", "SERIAL", "MODEL", "OWNER", "LAST SEEN", "SOFTWARE", "ID"}, rows)
	})
}

func (a *app) assets(fields string) (*pb.ListAssetsResponse, error) {
	all := new(pb.ListAssetsResponse)
	for token := ""; ; {
		page := new(pb.ListAssetsResponse)
		if err := a.client.get(a.ctx, "/v1/assets", map[string]string{"page_size": "1000", "page_token": token, "fields": fields}, page); err != nil {
			return nil, err
		}
		all.Assets = append(all.Assets, page.GetAssets()...)
		all.TotalSize = page.GetTotalSize()
		if token = page.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

func system(o *pb.Os) string {
	return strings.TrimSpace(or(o.GetName(), o.GetFamily()) + " " + o.GetVersion())
}

type assetsShowCmd struct {
	Asset string `arg:"" help:"Id, name or serial number."`
}

// Run shows one asset.
func (c assetsShowCmd) Run(a *app) error {
	x, err := a.find(c.Asset)
	if err != nil {
		return err
	}
	return a.print(x, func() error {
		states := new(pb.GetAssetSourceStatesResponse)
		if err := a.client.get(a.ctx, "/v1/assets/"+url.PathEscape(x.GetId())+":sources", nil, states); err != nil {
			return err
		}
		return a.show(x, states)
	})
}

// find returns the asset with an id, or the only one with a name or serial
// number.
func (a *app) find(key string) (*pb.Asset, error) {
	if key == "" {
		return nil, errors.New("which asset? give its id, name or serial number")
	}
	x := new(pb.Asset)
	err := a.client.get(a.ctx, "/v1/assets/"+url.PathEscape(key), nil, x)
	var e *apiError
	if err == nil || !errors.As(err, &e) || (e.status != 404 && e.status != 400) {
		return x, err
	}
	all, err := a.assets("id,name,hardware.serial")
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, x := range all.GetAssets() {
		if strings.EqualFold(x.GetName(), key) || strings.EqualFold(x.GetHardware().GetSerial(), key) {
			ids = append(ids, x.GetId())
		}
	}
	switch len(ids) {
	case 0:
		return nil, fmt.Errorf("%w: no asset has the id, name or serial number %q", errNotFound, key)
	case 1:
		x = new(pb.Asset)
		return x, a.client.get(a.ctx, "/v1/assets/"+url.PathEscape(ids[0]), nil, x)
	}
	return nil, fmt.Errorf("%d assets are called %q; choose by id: %s", len(ids), key, strings.Join(ids, ", "))
}

type softwareCmd struct {
	Asset string `arg:"" help:"Id, name or serial number of the asset."`
}

// Run lists all software of one asset.
func (c softwareCmd) Run(a *app) error {
	x, err := a.find(c.Asset)
	if err != nil {
		return err
	}
	all := new(pb.ListAssetSoftwareResponse)
	for token := ""; ; {
		page := new(pb.ListAssetSoftwareResponse)
		path := "/v1/assets/" + url.PathEscape(x.GetId()) + "/software"
		if err := a.client.get(a.ctx, path, map[string]string{"page_size": "10000", "page_token": token}, page); err != nil {
			return err
		}
		proto.Merge(all, &pb.ListAssetSoftwareResponse{Software: page.GetSoftware()})
		all.TotalSize = page.GetTotalSize()
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	return a.print(all, func() error {
		var rows [][]string
		for _, s := range all.GetSoftware() {
			installed := ""
			if s.GetInstalledAt() != nil {
				installed = s.GetInstalledAt().AsTime().Format("2006-01-02")
			}
			rows = append(rows, []string{s.GetName(), s.GetVersion(), s.GetArchitecture(), s.GetPublisher(), size(s.GetSizeBytes()), installed, s.GetKind()})
		}
		return a.table([]string{"NAME", "VERSION", "ARCH", "PUBLISHER", "SIZE", "INSTALLED", "KIND"}, rows)
	})
}
