# Cloudflare Access, written by redoubt edge export cloudflare.
#
# It does not say the same as the policies of the edge here:
#   denied · app.example · app.cedar:6 front: the rule is left out: Access cannot name the path by itself
#   differs · app.example/assets · app.cedar:26 suspended: everybody is let in here without signing on, those whom the rule shuts out too
#   differs · app.example/healthz · app.cedar:26 suspended: everybody is let in here without signing on, those whom the rule shuts out too
#   denied · app.cedar:19 readers: the rule is left out: Access does not see the method
#   denied · localhost:8443: Access knows hosts by their names alone, without a port: nothing is written for it
#   differs: persons and their groups are judged when they sign on; our edge judges at each request, and every minute of a long one
#   differs: the application is told who was let in by the header Cf-Access-Jwt-Assertion, not by Redoubt-Assertion
#   differs: Cloudflare refuses bodies beyond a plan's limit (100 MB on the smaller ones); our edge has the limit that you give it
#   differs: who signs on by mail types a code in; our edge sends a link that is bound to the browser
#   differs: paths are compared as they are spelled: where a rule shuts out "/admin", our edge also shuts out "/ADMIN", "/admin;x" and "/admin.json", which many applications take for it
#   differs: Cloudflare's documentation has whole segments for a path without a star, and the longer path for the more specific; before relying on it, try a longer name beside each path, and each path with a slash at its end

terraform {
  required_providers {
    cloudflare = {
      source  = "cloudflare/cloudflare"
      version = "~> 5.0"
    }
  }
}

variable "account_id" {
  type        = string
  description = "the account's id"
}

variable "login_corp" {
  type        = string
  description = "the id of the login method for corp"
}

variable "login_mail" {
  type        = string
  description = "the id of the login method One-time PIN"
}

variable "login_okta" {
  type        = string
  description = "the id of the login method for okta"
}

variable "service_backup" {
  type        = string
  description = "the id of the service token of backup"
}

# app.cedar:26 suspended
resource "cloudflare_zero_trust_access_policy" "deny_1" {
  account_id = var.account_id
  name       = "redoubt deny_1"
  decision   = "deny"
  include = [
    { okta = { identity_provider_id = var.login_okta, name = "suspended" } },
  ]
}

# app.cedar:8 staff
resource "cloudflare_zero_trust_access_policy" "allow_2" {
  account_id = var.account_id
  name       = "redoubt allow_2"
  decision   = "allow"
  include = [
    { okta = { identity_provider_id = var.login_okta, name = "staff" } },
  ]
}

# app.cedar:10 acme
resource "cloudflare_zero_trust_access_policy" "allow_3" {
  account_id = var.account_id
  name       = "redoubt allow_3"
  decision   = "allow"
  include = [
    { email_domain = { domain = "acme.test" } },
    { email_domain = { domain = "acme.org" } },
  ]
  exclude = [
    { login_method = { id = var.login_mail } },
  ]
}

# app.cedar:23 admin-area
resource "cloudflare_zero_trust_access_policy" "deny_4" {
  account_id = var.account_id
  name       = "redoubt deny_4"
  decision   = "deny"
  include = [
    { everyone = {} },
  ]
  exclude = [
    { okta = { identity_provider_id = var.login_okta, name = "admins" } },
  ]
}

# app.cedar:23 admin-area
resource "cloudflare_zero_trust_access_policy" "deny_5" {
  account_id = var.account_id
  name       = "redoubt deny_5"
  decision   = "deny"
  include = [
    { everyone = {} },
  ]
  exclude = [
    { ip = { ip = "10.0.0.0/8" } },
  ]
}

# app.cedar:2 assets
resource "cloudflare_zero_trust_access_policy" "bypass_6" {
  account_id = var.account_id
  name       = "redoubt bypass_6"
  decision   = "bypass"
  include = [
    { everyone = {} },
  ]
}

# app.cedar:14 guests
resource "cloudflare_zero_trust_access_policy" "allow_7" {
  account_id = var.account_id
  name       = "redoubt allow_7"
  decision   = "allow"
  include = [
    { login_method = { id = var.login_mail } },
  ]
  require = [
    { email = { email = "dora@guest.test" } },
    { ip = { ip = "192.0.2.0/24" } },
  ]
}

# app.cedar:14 guests
resource "cloudflare_zero_trust_access_policy" "allow_8" {
  account_id = var.account_id
  name       = "redoubt allow_8"
  decision   = "allow"
  include = [
    { login_method = { id = var.login_mail } },
  ]
  require = [
    { email = { email = "dan@guest.test" } },
    { ip = { ip = "192.0.2.0/24" } },
  ]
}

# app.cedar:17 backup
resource "cloudflare_zero_trust_access_policy" "non_identity_9" {
  account_id = var.account_id
  name       = "redoubt non_identity_9"
  decision   = "non_identity"
  include = [
    { service_token = { token_id = var.service_backup } },
  ]
}

# app.cedar:21 editors
resource "cloudflare_zero_trust_access_policy" "allow_10" {
  account_id = var.account_id
  name       = "redoubt allow_10"
  decision   = "allow"
  include = [
    { oidc = { identity_provider_id = var.login_corp, claim_name = "roles", claim_value = "editors" } },
  ]
}

resource "cloudflare_zero_trust_access_application" "app_example" {
  account_id       = var.account_id
  name             = "app.example"
  domain           = "app.example"
  type             = "self_hosted"
  session_duration = "8h"
  allowed_idps     = [var.login_okta, var.login_corp, var.login_mail]
  policies = [
    { id = cloudflare_zero_trust_access_policy.deny_1.id, precedence = 1 },
    { id = cloudflare_zero_trust_access_policy.allow_2.id, precedence = 2 },
  ]
}

resource "cloudflare_zero_trust_access_application" "app_example_acme" {
  account_id       = var.account_id
  name             = "app.example/acme"
  domain           = "app.example/acme"
  type             = "self_hosted"
  session_duration = "8h"
  allowed_idps     = [var.login_okta, var.login_corp, var.login_mail]
  policies = [
    { id = cloudflare_zero_trust_access_policy.deny_1.id, precedence = 1 },
    { id = cloudflare_zero_trust_access_policy.allow_2.id, precedence = 2 },
    { id = cloudflare_zero_trust_access_policy.allow_3.id, precedence = 3 },
  ]
}

resource "cloudflare_zero_trust_access_application" "app_example_admin" {
  account_id       = var.account_id
  name             = "app.example/admin"
  domain           = "app.example/admin"
  type             = "self_hosted"
  session_duration = "8h"
  allowed_idps     = [var.login_okta, var.login_corp, var.login_mail]
  policies = [
    { id = cloudflare_zero_trust_access_policy.deny_4.id, precedence = 1 },
    { id = cloudflare_zero_trust_access_policy.deny_5.id, precedence = 2 },
    { id = cloudflare_zero_trust_access_policy.deny_1.id, precedence = 3 },
    { id = cloudflare_zero_trust_access_policy.allow_2.id, precedence = 4 },
  ]
}

resource "cloudflare_zero_trust_access_application" "app_example_assets" {
  account_id       = var.account_id
  name             = "app.example/assets"
  domain           = "app.example/assets"
  type             = "self_hosted"
  session_duration = "8h"
  allowed_idps     = [var.login_okta, var.login_corp, var.login_mail]
  policies = [
    { id = cloudflare_zero_trust_access_policy.bypass_6.id, precedence = 1 },
  ]
}

resource "cloudflare_zero_trust_access_application" "app_example_healthz" {
  account_id       = var.account_id
  name             = "app.example/healthz"
  domain           = "app.example/healthz"
  type             = "self_hosted"
  session_duration = "8h"
  allowed_idps     = [var.login_okta, var.login_corp, var.login_mail]
  policies = [
    { id = cloudflare_zero_trust_access_policy.bypass_6.id, precedence = 1 },
  ]
}

resource "cloudflare_zero_trust_access_application" "app_example_healthz_below" {
  account_id       = var.account_id
  name             = "app.example/healthz/*"
  domain           = "app.example/healthz/*"
  type             = "self_hosted"
  session_duration = "8h"
  allowed_idps     = [var.login_okta, var.login_corp, var.login_mail]
  policies = [
    { id = cloudflare_zero_trust_access_policy.deny_1.id, precedence = 1 },
    { id = cloudflare_zero_trust_access_policy.allow_2.id, precedence = 2 },
  ]
}

resource "cloudflare_zero_trust_access_application" "app_example_shared" {
  account_id       = var.account_id
  name             = "app.example/shared"
  domain           = "app.example/shared"
  type             = "self_hosted"
  session_duration = "8h"
  allowed_idps     = [var.login_okta, var.login_corp, var.login_mail]
  policies = [
    { id = cloudflare_zero_trust_access_policy.deny_1.id, precedence = 1 },
    { id = cloudflare_zero_trust_access_policy.allow_2.id, precedence = 2 },
    { id = cloudflare_zero_trust_access_policy.allow_7.id, precedence = 3 },
    { id = cloudflare_zero_trust_access_policy.allow_8.id, precedence = 4 },
  ]
}

resource "cloudflare_zero_trust_access_application" "app_example_jobs_backup" {
  account_id       = var.account_id
  name             = "app.example/jobs/backup"
  domain           = "app.example/jobs/backup"
  type             = "self_hosted"
  session_duration = "8h"
  allowed_idps     = [var.login_okta, var.login_corp, var.login_mail]
  policies = [
    { id = cloudflare_zero_trust_access_policy.non_identity_9.id, precedence = 1 },
    { id = cloudflare_zero_trust_access_policy.deny_1.id, precedence = 2 },
    { id = cloudflare_zero_trust_access_policy.allow_2.id, precedence = 3 },
  ]
}

resource "cloudflare_zero_trust_access_application" "app_example_jobs_backup_below" {
  account_id       = var.account_id
  name             = "app.example/jobs/backup/*"
  domain           = "app.example/jobs/backup/*"
  type             = "self_hosted"
  session_duration = "8h"
  allowed_idps     = [var.login_okta, var.login_corp, var.login_mail]
  policies = [
    { id = cloudflare_zero_trust_access_policy.deny_1.id, precedence = 1 },
    { id = cloudflare_zero_trust_access_policy.allow_2.id, precedence = 2 },
  ]
}

resource "cloudflare_zero_trust_access_application" "wiki_example" {
  account_id       = var.account_id
  name             = "wiki.example"
  domain           = "wiki.example"
  type             = "self_hosted"
  session_duration = "8h"
  allowed_idps     = [var.login_okta, var.login_corp, var.login_mail]
  policies = [
    { id = cloudflare_zero_trust_access_policy.deny_1.id, precedence = 1 },
    { id = cloudflare_zero_trust_access_policy.allow_10.id, precedence = 2 },
  ]
}

# For audTag in config.yml, by host.
output "audiences" {
  value = {
    "app.example" = [cloudflare_zero_trust_access_application.app_example.aud, cloudflare_zero_trust_access_application.app_example_acme.aud, cloudflare_zero_trust_access_application.app_example_admin.aud, cloudflare_zero_trust_access_application.app_example_assets.aud, cloudflare_zero_trust_access_application.app_example_healthz.aud, cloudflare_zero_trust_access_application.app_example_healthz_below.aud, cloudflare_zero_trust_access_application.app_example_shared.aud, cloudflare_zero_trust_access_application.app_example_jobs_backup.aud, cloudflare_zero_trust_access_application.app_example_jobs_backup_below.aud]
    "wiki.example" = [cloudflare_zero_trust_access_application.wiki_example.aud]
  }
}
