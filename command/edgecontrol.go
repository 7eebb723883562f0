package command

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access"

	"github.com/redoubt-dev/redoubt/layer/perimeter/access/policy"
	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
)

// printJSON prints one value as one line.
func printJSON(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err == nil {
		_, err = w.Write(append(line, '\n'))
	}
	return err
}

// withAuthority runs what needs the folder that the edges share. It works beside running edges.
func withAuthority(config string, do func(*edgeFile, *enrol.Authority) error) error {
	file, err := readEdgeFile(config)
	if err != nil {
		return err
	}
	_, authority, err := file.authority(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return do(file, authority)
}

// An asker is who a question of explain is about.
type asker struct {
	as, provider, service, from string
	groups                      []string
	mail                        bool
}

const explainLong = `Says whether a request would pass, and which rule decides, without sending it.

  redoubt edge explain GET https://wiki.example.com/                                     nobody in particular
  redoubt edge explain --as bob@acme.test --group okta/staff GET https://wiki.example.com/admin
  redoubt edge explain --service ci --from 10.0.0.7 POST https://wiki.example.com/api

Exit code 0 means that it passes, 3 that it does not.`

func edgeExplainCommand(config *string) *cobra.Command {
	var who asker
	var asJSON bool
	c := &cobra.Command{
		Use: "explain METHOD URL", Short: "Say which rule lets a request pass, or does not", Long: explainLong, Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			file, err := readEdgeFile(*config)
			if err != nil {
				return err
			}
			explanation, err := file.explain(who, args[0], args[1])
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(c.OutOrStdout(), explanation)
			} else {
				_, err = io.WriteString(c.OutOrStdout(), explanation.String())
			}
			if err == nil && !explanation.Decision.Allow {
				return deniedError{"the edge would not let this request pass"}
			}
			return err
		},
	}
	c.Flags().StringVar(&who.as, "as", "", "who asks, by their verified address")
	c.Flags().StringVar(&who.provider, "provider", "", "where they signed on; empty: the one of their first group, or the first that is configured")
	c.Flags().StringArrayVar(&who.groups, "group", nil, "a group of theirs, as provider/group; repeat it for several")
	c.Flags().BoolVar(&who.mail, "by-mail", false, "they signed on by a link sent to their address")
	c.Flags().StringVar(&who.service, "service", "", "a program, by its service's name, instead of a person")
	c.Flags().StringVar(&who.from, "from", "192.0.2.1", "the client's address")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// explain asks the policies of the application whose host the address names.
func (e *edgeFile) explain(who asker, method, address string) (policy.Explanation, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return policy.Explanation{}, usageError{errors.New("the address is of the form https://host/path")}
	}
	client, err := netip.ParseAddr(who.from)
	if err != nil {
		return policy.Explanation{}, usageError{errors.New("--from is an address, such as 192.0.2.1")}
	}
	signOn, err := who.signOn(e)
	if err != nil {
		return policy.Explanation{}, err
	}
	all, err := e.policies()
	if err != nil {
		return policy.Explanation{}, err
	}
	host := strings.TrimSuffix(strings.ToLower(u.Host), ":443")
	for _, a := range e.Applications {
		if a.host() != host {
			continue
		}
		path := u.EscapedPath()
		if path == "" {
			path = "/"
		}
		return all[a.Name].Set().Explain(policy.Request{Host: host, Path: path, Method: strings.ToUpper(method), Client: client, Who: signOn}), nil
	}
	return policy.Explanation{}, hinted{fmt.Errorf("no application of this edge is at %s", u.Host), "the origins are those in edge.toml"}
}

func (w asker) signOn(e *edgeFile) (assertion.SignOn, error) {
	switch {
	case w.service != "" && (w.as != "" || len(w.groups) > 0):
		return assertion.SignOn{}, usageError{errors.New("--service is no person: it goes without --as and --group")}
	case w.service != "":
		return assertion.SignOn{By: assertion.ByService, Subject: w.service}, nil
	case w.as == "" && len(w.groups) > 0:
		return assertion.SignOn{}, usageError{errors.New("--group needs --as")}
	case w.as == "":
		return assertion.SignOn{By: assertion.ByNobody}, nil
	case w.mail:
		return assertion.SignOn{By: assertion.ByMail, Subject: w.as, Email: w.as}, nil
	}
	s := assertion.SignOn{By: assertion.ByProvider, Provider: w.provider, Subject: w.as, Email: w.as}
	for _, g := range w.groups {
		provider, group, ok := strings.Cut(g, "/")
		if !ok || s.Provider != "" && provider != s.Provider {
			return s, usageError{errors.New("--group is provider/group, all of one provider")}
		}
		s.Provider = provider
		s.Groups = append(s.Groups, group)
	}
	if s.Provider == "" {
		if len(e.Providers) == 0 {
			return s, usageError{errors.New("no provider is configured at which somebody could sign on: ask with --by-mail, or without --as")}
		}
		s.Provider = e.Providers[0].Name
	}
	return s, nil
}

func edgeInviteCommand(config *string) *cobra.Command {
	var edges []string
	var asJSON bool
	c := &cobra.Command{
		Use: "invite APPLICATION", Short: "Make a token with which one connector can enrol, once, for 15 minutes", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withAuthority(*config, func(file *edgeFile, authority *enrol.Authority) error {
				at, err := file.dialled(args[0], edges)
				if err != nil {
					return err
				}
				token, err := authority.Invite(args[0], at)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(c.OutOrStdout(), map[string]string{"token": token})
				}
				fmt.Fprintln(c.OutOrStdout(), token)
				fmt.Fprintf(c.ErrOrStderr(), "It is good once, until %s. On the application's machine:\n  redoubt connect --to http://127.0.0.1:PORT --join TOKEN\n",
					time.Now().Add(enrol.InvitationLife).Format("15:04"))
				return nil
			})
		},
	}
	c.Flags().StringArrayVar(&edges, "edge", nil, "an edge's address, host:port; repeat it for several (default: the application's own)")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// dialled are the addresses at which connectors of an application find the edges.
func (e *edgeFile) dialled(application string, given []string) ([]string, error) {
	for _, a := range e.Applications {
		if a.Name != application {
			continue
		}
		if len(given) > 0 {
			return given, nil
		}
		u, _ := url.Parse(a.Origin) // checked
		port := u.Port()
		if port == "" {
			port = "443"
		}
		return []string{net.JoinHostPort(u.Hostname(), port)}, nil
	}
	return nil, hinted{fmt.Errorf("there is no application %q", application), "the names are those in edge.toml"}
}

func edgeConnectorsCommand(config *string) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "connectors", Short: "List who is enrolled", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withAuthority(*config, func(_ *edgeFile, authority *enrol.Authority) error {
				peers, err := authority.Connectors()
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(c.OutOrStdout(), described(peers))
				}
				return printConnectors(c.OutOrStdout(), peers)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	return c
}

// An enrolled connector, as it is printed.
type enrolled struct {
	ID          string    `json:"id"`
	Application string    `json:"application"`
	Expires     time.Time `json:"expires"`
}

func described(peers []enrol.Peer) []enrolled {
	all := []enrolled{}
	for _, p := range peers {
		all = append(all, enrolled{p.ID, p.Application, p.Expires})
	}
	return all
}

func printConnectors(w io.Writer, peers []enrol.Peer) error {
	if len(peers) == 0 {
		_, err := fmt.Fprintln(w, "Nobody is enrolled: `redoubt edge invite APPLICATION` makes a token.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CONNECTOR\tAPPLICATION\tCERTIFICATE UNTIL")
	for _, p := range peers {
		fmt.Fprintf(table, "%s\t%s\t%s\n", p.ID, p.Application, p.Expires.Local().Format(time.DateTime))
	}
	return table.Flush()
}

func edgeRevokeCommand(config *string) *cobra.Command {
	return &cobra.Command{
		Use: "revoke CONNECTOR", Short: "Shut a connector out at once, at every edge", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withAuthority(*config, func(_ *edgeFile, authority *enrol.Authority) error {
				if err := authority.Revoke(args[0]); err != nil {
					return hinted{err, "`redoubt edge connectors` lists them"}
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "%s is shut out; its links end within a second.\n", args[0])
				return err
			})
		},
	}
}

func edgeRotateCommand(config *string) *cobra.Command {
	var finish bool
	c := &cobra.Command{
		Use: "rotate", Short: "Replace the authority's key and the key for assertions, in two steps",
		Long: "Begins a rotation: connectors hear of the next keys when they renew, and both are believed meanwhile. --finish then lets the next keys\n" +
			"take over; it is refused while a connector has not heard of them.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withAuthority(*config, func(_ *edgeFile, authority *enrol.Authority) error {
				if finish {
					if err := authority.FinishRotation(); err != nil {
						return err
					}
					_, err := fmt.Fprintln(c.OutOrStdout(), "The next keys have taken over.")
					return err
				}
				if err := authority.Rotate(); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.OutOrStdout(), "The next keys are announced. `redoubt edge rotate --finish` lets them take over.")
				return err
			})
		},
	}
	c.Flags().BoolVar(&finish, "finish", false, "let the next keys take over")
	return c
}

func edgeTokenCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "token SERVICE", Short: "Make a token for a program, and the lines of edge.toml that admit it", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			token, service, err := access.NewService(args[0])
			if err != nil {
				return usageError{err}
			}
			hash := hex.EncodeToString(service.Hash[:])
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string]string{"token": token, "name": service.Name, "sha256": hash})
			}
			fmt.Fprintln(c.OutOrStdout(), token)
			_, err = fmt.Fprintf(c.ErrOrStderr(), "It is shown this once; the program sends it as Redoubt-Service-Token. For edge.toml:\n\n[[service]]\nname = %q\nsha256 = %q\n", service.Name, hash)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}
