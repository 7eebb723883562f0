package command

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/redoubt-dev/redoubt/layer/input/file/store"
)

// A bucket is S3-compatible storage for uploaded files, in place of a folder.
type bucket struct {
	Endpoint  string `json:"endpoint"`
	Region    string `json:"region"`
	Name      string `json:"name"`
	Prefix    string `json:"prefix"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
	Plain     bool   `json:"plain"` // without TLS, on this machine alone
}

const bucketForm = "https://s3.example.com/bucket?region=eu-central-1, with a prefix behind the bucket if you like"

// parseBucket reads the address of a bucket. Its keys are in the environment, not in what a list of processes shows.
func parseBucket(raw string) (*bucket, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, hinted{usageError{errors.New("--files-s3 is not the address of a bucket")}, "write " + bucketForm}
	}
	name, prefix, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	b := &bucket{Endpoint: u.Host, Region: u.Query().Get("region"), Name: name, Prefix: prefix, Plain: u.Scheme == "http",
		AccessKey: os.Getenv("REDOUBT_S3_ACCESS_KEY"), SecretKey: os.Getenv("REDOUBT_S3_SECRET_KEY")}
	if _, err := b.open(); err != nil {
		return nil, hinted{usageError{fmt.Errorf("--files-s3: %w", err)}, "write " + bucketForm + "; the keys are REDOUBT_S3_ACCESS_KEY and REDOUBT_S3_SECRET_KEY of the environment"}
	}
	return b, nil
}

func (b *bucket) open() (*store.S3, error) {
	return store.OpenS3(store.S3Config{Endpoint: b.Endpoint, Region: b.Region, Bucket: b.Name, Prefix: b.Prefix, AccessKey: b.AccessKey, SecretKey: b.SecretKey,
		InsecureLoopback: b.Plain})
}

// files opens what keeps uploaded files.
func (o order) files() (store.Store, error) {
	if o.Bucket != nil {
		return o.Bucket.open()
	}
	return store.OpenDir(o.Files)
}
