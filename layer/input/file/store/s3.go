package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

const (
	attempts       = 3                       // at a request that changes nothing when it is made twice
	pauses         = 1400 * time.Millisecond // of minio-go's between them, at most
	usualPatience  = 10 * time.Second
	longestWait    = time.Minute
	slowest        = 128 << 10 // bytes a second, below which an upload is ended
	maxConnections = 64        // at once, to the server; who comes later waits, as long as for an answer
	maxHead        = 64 << 10  // bytes of an answer's head
)

// An S3Config says which bucket to keep objects in. The bucket must exist, be private, and belong to this program alone. The key
// needs to get, put and delete objects in it, versions included; and to list it, because a server tells only those who may that an
// object is not there. This program never lists.
type S3Config struct {
	Endpoint  string // host or host:port, spoken to by TLS 1.3; required
	Region    string // as the server calls it, such as "eu-central-1"; required
	Bucket    string // required
	AccessKey string // required
	SecretKey string // required
	Prefix    string // goes before every object's name, as "shop/files"; zero is none
	// Roots are the authorities to believe; nil for the system's.
	Roots *x509.CertPool
	// Encrypt asks the server, with each object, to encrypt it with keys of its own (SSE-S3). Zero leaves it to the bucket. Either way
	// the server can read what it keeps.
	Encrypt bool
	// Patience is how long the server may take to answer, each of up to three times; zero is 10 seconds, at most a minute.
	Patience time.Duration
	// InsecureLoopback speaks without TLS, to a server on this machine alone: a loopback address in numbers.
	InsecureLoopback bool
}

// An S3 keeps objects in a bucket. It reads no environment, asks no proxy, follows no redirect, and makes no bucket.
type S3 struct {
	core     *minio.Core
	bucket   string
	prefix   string
	encrypt  encrypt.ServerSide
	patience time.Duration
}

var (
	bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixForm = regexp.MustCompile(`^([a-z0-9-]{1,64}(/[a-z0-9-]{1,64}){0,7})?$`)
	regionForm = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
)

// OpenS3 checks cfg, naming every fault. It does not ask the server anything, so that an application starts while the server is down.
func OpenS3(cfg S3Config) (*S3, error) {
	if cfg.Patience == 0 {
		cfg.Patience = usualPatience
	}
	faults := cfg.faults()
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	core, err := minio.NewCore(cfg.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""), Region: cfg.Region, Secure: !cfg.InsecureLoopback,
		Transport: cfg.transport(), TrailingHeaders: true, MaxRetries: attempts,
	})
	if err != nil {
		return nil, fmt.Errorf("store: Endpoint: %w", err)
	}
	s := &S3{core: core, bucket: cfg.Bucket, patience: cfg.Patience}
	if cfg.Prefix != "" {
		s.prefix = cfg.Prefix + "/"
	}
	if cfg.Encrypt {
		s.encrypt = encrypt.NewSSE()
	}
	return s, nil
}

func (cfg S3Config) faults() (faults []error) {
	fault := func(wrong bool, what string) {
		if wrong {
			faults = append(faults, errors.New("store: "+what))
		}
	}
	to, err := url.Parse("https://" + cfg.Endpoint)
	fault(err != nil || to.Host != cfg.Endpoint || to.Hostname() == "", "Endpoint is not host or host:port")
	fault(!regionForm.MatchString(cfg.Region), "Region is none")
	fault(!bucketForm.MatchString(cfg.Bucket), "Bucket is none")
	fault(cfg.AccessKey == "" || cfg.SecretKey == "", "AccessKey and SecretKey are required")
	fault(!prefixForm.MatchString(cfg.Prefix), "Prefix is not of words of a-z, 0-9 and -, with / between them")
	fault(cfg.Patience < 0 || cfg.Patience > longestWait, "Patience is at most a minute")
	if cfg.InsecureLoopback && err == nil {
		ip := net.ParseIP(to.Hostname())
		fault(ip == nil || !ip.IsLoopback(), "InsecureLoopback is for a loopback address in numbers")
	}
	return faults
}

// transport has a bound on everything, and no proxy: http.DefaultTransport would take one from the environment.
func (cfg S3Config) transport() http.RoundTripper {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: cfg.Patience}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: cfg.Roots},
		TLSHandshakeTimeout:    cfg.Patience,
		ResponseHeaderTimeout:  cfg.Patience,
		MaxResponseHeaderBytes: maxHead,
		MaxConnsPerHost:        maxConnections,
		MaxIdleConnsPerHost:    maxConnections,
		IdleConnTimeout:        time.Minute,
		DisableCompression:     true,
	}
}

// within bounds what belongs together, however often it is tried.
func (s *S3) within(ctx context.Context, more time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, attempts*s.patience+pauses+more)
}

func (s *S3) name(key Key) (string, error) {
	organization, spread, name, err := key.parts()
	return s.prefix + organization + "/" + spread + "/" + name, err
}

// Put implements Store. It looks first whether the object is there, and has the server look again when it has the whole (If-None-Match,
// RFC 9110 section 13.1.2): a server that does not know the condition is still asked the first question. A put is never tried twice,
// because nothing tells whether the first went through; the caller takes a new name. A pause of r's counts as the server's.
func (s *S3) Put(ctx context.Context, key Key, r io.Reader, size int64) error {
	name, err := s.name(key)
	if err == nil {
		err = checkSize(size)
	}
	if err != nil {
		return fmt.Errorf("storing an object: %w", err)
	}
	asked, cancel := s.within(ctx, time.Duration(size/slowest)*time.Second)
	defer cancel()
	_, err = s.head(asked, name)
	if err == nil {
		return fmt.Errorf("storing an object: %w", ErrExists)
	}
	if !missing(err) {
		return unavailable(ctx, "storing an object", cause(err))
	}
	content := newExact(asked, r, size)
	if size == 0 {
		content.Read(make([]byte, 1)) // HTTP's client would not look
	}
	return s.put(ctx, asked, name, content, size)
}

// options of every put: no parts, so that there is one request, and a checksum at its end that the server compares and keeps. What
// keeps others from changing the content on its way is TLS; the loopback form signs no more than that one, so that tests see one form.
func (s *S3) options() minio.PutObjectOptions {
	o := minio.PutObjectOptions{ContentType: "application/octet-stream", DisableMultipart: true, DisableContentSha256: true,
		Checksum: minio.ChecksumCRC32C, ServerSideEncryption: s.encrypt}
	o.SetMatchETagExcept("*")
	return o
}

func (s *S3) put(ctx, asked context.Context, name string, content *exact, size int64) (err error) {
	if size > 0 || content.end == io.EOF {
		_, err = s.core.Client.PutObject(asked, s.bucket, name, content, size, s.options())
	}
	whole, fault := content.stop()
	switch {
	case fault != nil && ctx.Err() == nil && asked.Err() != nil:
		return unavailable(ctx, "storing an object", errSlow)
	case fault != nil:
		return fmt.Errorf("storing an object: %w", fault)
	case refusedAs(err, http.StatusPreconditionFailed, http.StatusConflict):
		return fmt.Errorf("storing an object: %w", ErrExists)
	case err == nil && !whole:
		err = errEarly
	}
	if err != nil {
		return unavailable(ctx, "storing an object", cause(err))
	}
	return nil
}

// Open implements Store. It asks for the object's size alone; reading fetches the content piece by piece.
func (s *S3) Open(ctx context.Context, key Key) (*Content, error) {
	name, err := s.name(key)
	if err != nil {
		return nil, fmt.Errorf("opening an object: %w", err)
	}
	info, err := s.stat(ctx, name)
	switch {
	case missing(err):
		return nil, fmt.Errorf("opening an object: %w", ErrNotFound)
	case err != nil:
		return nil, unavailable(ctx, "opening an object", cause(err))
	}
	return &Content{newPieces(ctx, s, name, info), info.Size}, nil
}

// Delete implements Store. Where the bucket keeps versions, the version goes, and not only its name.
func (s *S3) Delete(ctx context.Context, key Key) error {
	name, err := s.name(key)
	if err != nil {
		return fmt.Errorf("deleting an object: %w", err)
	}
	info, err := s.stat(ctx, name)
	if err == nil {
		asked, cancel := s.within(ctx, 0)
		defer cancel()
		err = s.core.RemoveObject(asked, s.bucket, name, minio.RemoveObjectOptions{VersionID: info.VersionID})
	}
	if err != nil && !missing(err) {
		return unavailable(ctx, "deleting an object", cause(err))
	}
	return nil
}

func (s *S3) head(ctx context.Context, name string) (minio.ObjectInfo, error) {
	return s.core.StatObject(ctx, s.bucket, name, minio.StatObjectOptions{Checksum: true})
}

// stat asks about an object. The answer to HEAD has no content, so that a bucket which is gone looks like an object which is gone;
// a GET tells them apart, or else every file would seem deleted when the storage is lost.
func (s *S3) stat(ctx context.Context, name string) (minio.ObjectInfo, error) {
	ctx, cancel := s.within(ctx, 0)
	defer cancel()
	info, err := s.head(ctx, name)
	if !missing(err) {
		return info, err
	}
	body, _, _, got := s.core.GetObject(ctx, s.bucket, name, minio.GetObjectOptions{})
	if got != nil {
		return info, got
	}
	body.Close() // it has been put in this moment
	return info, err
}

var (
	errEnded = errors.New("the connection ended without an answer")
	errSlow  = errors.New("the server, or the content, is too slow")
	errEarly = errors.New("the server answers before it has everything")
)

// refusedAs reports whether the server answered with one of these statuses.
func refusedAs(err error, statuses ...int) bool {
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return false
	}
	for _, status := range statuses {
		if answer.StatusCode == status {
			return true
		}
	}
	return false
}

func missing(err error) bool {
	var answer minio.ErrorResponse
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound && answer.Code != minio.NoSuchBucket
}

var codeForm = regexp.MustCompile(`^[A-Za-z]{1,64}$`)

// cause keeps of an error what a log may hold. What a server says in words it may have from anywhere, and the address of a request
// names bucket and object; status, code and the network's own error are enough to find out.
func cause(err error) error {
	var answer minio.ErrorResponse
	var request *url.Error
	switch {
	case errors.As(err, &answer) && codeForm.MatchString(answer.Code):
		return fmt.Errorf("the server answers %d %s", answer.StatusCode, answer.Code)
	case errors.As(err, &answer):
		return fmt.Errorf("the server answers %d", answer.StatusCode)
	case errors.As(err, &request):
		err = request.Err
	}
	if strings.Contains(err.Error(), "://") { // minio-go's own words about a connection
		return errEnded
	}
	return err
}
