package command

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access/cloudflare"
)

const edgeExportLong = `Prints what says the same policy for those who rent their edge: the configuration of a tunnel (config.yml) and of Access (Terraform).
What cannot be said there is named in comments, and denied there: nobody passes whom this edge would not let in.`

// An export says for which application, and in whose words.
type export struct {
	application, to string
	kinds           map[string]string
	asJSON          bool
}

func edgeExportCommand(config *string) *cobra.Command {
	var x export
	c := &cobra.Command{
		Use: "export cloudflare", Short: "Say the same policy in a rented edge's words", Long: edgeExportLong, Args: cobra.ExactArgs(1), ValidArgs: []string{"cloudflare"},
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] != "cloudflare" {
				return usageError{errors.New("this is printed for cloudflare alone")}
			}
			file, err := readEdgeFile(*config)
			if err != nil {
				return err
			}
			return file.export(x, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&x.application, "application", "", "which one; needed if there are several")
	c.Flags().StringVar(&x.to, "to", "http://127.0.0.1:3000", "where the tunnel finds the application on its machine")
	c.Flags().StringToStringVar(&x.kinds, "provider-kind", nil, "how Access compares a provider's groups: okta, azure, google, saml or oidc (default), as name=kind")
	c.Flags().BoolVar(&x.asJSON, "json", false, "print one JSON object")
	return c
}

func (e *edgeFile) export(x export, stdout, stderr io.Writer) error {
	a, err := e.chosen(x.application)
	if err != nil {
		return err
	}
	all, err := e.policies()
	if err != nil {
		return err
	}
	c := cloudflare.Config{Policies: all[a.Name].Set(), Applications: []cloudflare.Application{{Host: a.host(), To: x.to}}, Mail: e.Mail != nil}
	if h := e.Limits.SessionHours; h > 0 {
		c.Session = fmt.Sprintf("%dh", h)
	}
	for _, p := range e.Providers {
		kind := x.kinds[p.Name]
		if kind == "" {
			kind = "oidc"
		}
		c.Providers = append(c.Providers, cloudflare.Provider{Name: p.Name, Kind: kind, Claim: p.GroupsClaim})
	}
	out, err := cloudflare.Export(c)
	if err != nil {
		return err
	}
	if x.asJSON {
		return printJSON(stdout, map[string]any{"tunnel": out.Tunnel, "terraform": out.Terraform, "limits": out.Limits})
	}
	if len(out.Limits) > 0 {
		fmt.Fprintf(stderr, "%d things are not the same there; they are named in the comments.\n", len(out.Limits))
	}
	_, err = fmt.Fprintf(stdout, "# ---- config.yml of cloudflared\n%s\n# ---- access.tf\n%s", out.Tunnel, out.Terraform)
	return err
}

// chosen is the application of that name, or the only one.
func (e *edgeFile) chosen(name string) (edgeApplication, error) {
	for _, a := range e.Applications {
		if a.Name == name || name == "" && len(e.Applications) == 1 {
			return a, nil
		}
	}
	if name == "" {
		return edgeApplication{}, usageError{errors.New("there are several applications: choose one with --application")}
	}
	return edgeApplication{}, hinted{fmt.Errorf("there is no application %q", name), "the names are those in edge.toml"}
}
