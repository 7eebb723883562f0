package oauth2

type AuthStyle int

const (
	AuthStyleAutoDetect AuthStyle = iota
	AuthStyleInParams
	AuthStyleInHeader
)

type Endpoint struct {
	AuthURL, TokenURL string
	AuthStyle         AuthStyle
}
