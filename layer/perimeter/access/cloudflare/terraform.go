package cloudflare

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// terraform writes Access down, for version 5 of the provider cloudflare/cloudflare. What only the account knows is a variable.
func terraform(c Config, all []application, limits []Limit) string {
	w := &writer{config: c, names: map[string]string{}, slugs: map[string]string{}, variables: map[string]string{"account_id": "the account's id"}}
	var body strings.Builder
	for _, a := range all {
		body.WriteString(w.application(a))
	}
	var b strings.Builder
	b.WriteString("# Cloudflare Access, written by redoubt edge export cloudflare.\n")
	comments(&b, limits)
	b.WriteString("\nterraform {\n  required_providers {\n    cloudflare = {\n      source  = \"cloudflare/cloudflare\"\n      version = \"~> 5.0\"\n    }\n  }\n}\n")
	for _, name := range sorted(w.variables) {
		fmt.Fprintf(&b, "\nvariable %s {\n  type        = string\n  description = %s\n}\n", quote(name), quote(w.variables[name]))
	}
	b.WriteString(w.policies.String())
	b.WriteString(body.String())
	b.WriteString("\n# For audTag in config.yml, by host.\noutput \"audiences\" {\n  value = {\n")
	for _, host := range hosts(all) {
		var tags []string
		for _, a := range all {
			if a.region.host == host {
				tags = append(tags, "cloudflare_zero_trust_access_application."+w.slug(a.region.String())+".aud")
			}
		}
		fmt.Fprintf(&b, "    %s = [%s]\n", quote(host), strings.Join(tags, ", "))
	}
	b.WriteString("  }\n}\n")
	return b.String()
}

func comments(b *strings.Builder, limits []Limit) {
	if len(limits) == 0 {
		return
	}
	b.WriteString("#\n# It does not say the same as the policies of the edge here:\n")
	for _, l := range limits {
		fmt.Fprintf(b, "#   %s\n", strings.Join(strings.Fields(l.String()), " "))
	}
}

// A writer gives names to policies that several applications share, and remembers the variables that are needed.
type writer struct {
	config    Config
	names     map[string]string // of policies, by what they decide
	slugs     map[string]string // what has which name
	variables map[string]string // descriptions
	policies  strings.Builder
}

func (w *writer) variable(name, description string) string {
	w.variables[name] = description
	return "var." + name
}

func (w *writer) application(a application) string {
	var b strings.Builder
	name := w.slug(a.region.String())
	fmt.Fprintf(&b, "\nresource \"cloudflare_zero_trust_access_application\" %q {\n", name)
	fmt.Fprintf(&b, "  account_id       = var.account_id\n  name             = %s\n  domain           = %s\n", quote(a.region.String()), quote(a.region.String()))
	fmt.Fprintf(&b, "  type             = \"self_hosted\"\n  session_duration = %s\n  allowed_idps     = [%s]\n", quote(w.config.Session), strings.Join(w.logins(), ", "))
	b.WriteString("  policies = [\n")
	for i, p := range a.policies {
		fmt.Fprintf(&b, "    { id = cloudflare_zero_trust_access_policy.%s.id, precedence = %d },\n", w.policy(p), i+1)
	}
	b.WriteString("  ]\n}\n")
	return b.String()
}

// logins are the ways to sign on that the edge has too.
func (w *writer) logins() (all []string) {
	for _, p := range w.config.Providers {
		all = append(all, w.login(p.Name))
	}
	if w.config.Mail {
		all = append(all, w.login(mail))
	}
	return all
}

func (w *writer) login(provider string) string {
	if provider == mail {
		return w.variable("login_mail", "the id of the login method One-time PIN")
	}
	return w.variable("login_"+w.slug(provider), "the id of the login method for "+provider)
}

// policy writes a policy unless it is written already, and returns its name.
func (w *writer) policy(p accessPolicy) string {
	key := p.decides()
	if name, ok := w.names[key]; ok {
		return name
	}
	name := fmt.Sprintf("%s_%d", p.decision, len(w.names)+1)
	w.names[key] = name
	b := &w.policies
	fmt.Fprintf(b, "\n")
	for _, rule := range p.rules {
		fmt.Fprintf(b, "# %s\n", strings.Join(strings.Fields(rule), " "))
	}
	fmt.Fprintf(b, "resource \"cloudflare_zero_trust_access_policy\" %q {\n  account_id = var.account_id\n  name       = %q\n  decision   = %q\n", name, "redoubt "+name, p.decision)
	w.selectors(b, "include", p.include)
	w.selectors(b, "require", p.require)
	w.selectors(b, "exclude", p.exclude)
	b.WriteString("}\n")
	return name
}

func (w *writer) selectors(b *strings.Builder, name string, all []selector) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(b, "  %s = [\n", name)
	for _, s := range all {
		fmt.Fprintf(b, "    { %s },\n", w.selector(s))
	}
	b.WriteString("  ]\n")
}

func (w *writer) selector(s selector) string {
	switch s.kind {
	case "email":
		return "email = { email = " + quote(s.value) + " }"
	case "email_domain":
		return "email_domain = { domain = " + quote(s.value) + " }"
	case "ip":
		return "ip = { ip = " + quote(s.value) + " }"
	case "login":
		return "login_method = { id = " + w.login(s.value) + " }"
	case "service":
		return "service_token = { token_id = " + w.variable("service_"+w.slug(s.value), "the id of the service token of "+s.value) + " }"
	case "group":
		return w.group(s)
	}
	return "everyone = {}"
}

// group is a group as its provider's kind has it.
func (w *writer) group(s selector) string {
	i := slices.IndexFunc(w.config.Providers, func(p Provider) bool { return p.Name == s.by })
	p, login := w.config.Providers[i], w.login(s.by)
	switch p.Kind {
	case "okta":
		return fmt.Sprintf("okta = { identity_provider_id = %s, name = %s }", login, quote(s.value))
	case "azure":
		id := w.variable("group_"+w.slug(s.by+"_"+s.value), "the object id of the group "+s.value+" of "+s.by)
		return fmt.Sprintf("azure_ad = { identity_provider_id = %s, id = %s }", login, id)
	case "google":
		return fmt.Sprintf("gsuite = { identity_provider_id = %s, email = %s }", login, quote(s.value))
	case "saml":
		return fmt.Sprintf("saml = { identity_provider_id = %s, attribute_name = %s, attribute_value = %s }", login, quote(p.claim()), quote(s.value))
	}
	return fmt.Sprintf("oidc = { identity_provider_id = %s, claim_name = %s, claim_value = %s }", login, quote(p.claim()), quote(s.value))
}

func (p Provider) claim() string {
	if p.Claim == "" {
		return "groups"
	}
	return p.Claim
}

// quote writes a string in HCL: nothing in it is a template.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteString("\\" + string(c))
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, "\\u%04x", c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(b.String())
}

var unfit = regexp.MustCompile(`[^A-Za-z0-9]+`)

// slug is a name for Terraform: letters, digits and lines below. Two things never get one name.
func (w *writer) slug(s string) string {
	base := strings.Trim(unfit.ReplaceAllString(strings.ReplaceAll(s, "*", "below"), "_"), "_")
	if base == "" || base[0] >= '0' && base[0] <= '9' {
		base = "n" + base
	}
	for i := 1; ; i++ {
		name := base
		if i > 1 {
			name = fmt.Sprintf("%s_%d", base, i)
		}
		if w.slugs[name] == "" || w.slugs[name] == s {
			w.slugs[name] = s
			return name
		}
	}
}
