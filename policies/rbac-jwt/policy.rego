# METADATA
# title: Roles from a token
# description: |
#   What somebody may do follows from their roles, and those are a claim of the token that Chancery has verified
#   (`authenticate: jwt`). What each role may do is data, so a new permission is no change of this file.
#
#   /tenants/{tenant}/{resource}/…   reading needs the permission `{resource}:read`, all else `{resource}:write`
package envoy.authz

default allow := {
	"allowed": false,
	"http_status": 403,
	"body": "Forbidden: none of your roles allows this.\n",
}

# METADATA
# description: The service learns who is asking, and under which of the roles it was allowed.
allow := {
	"allowed": true,
	"headers": {"x-user": user.subject, "x-roles": concat(",", sort(permitting_roles))},
} if {
	is_own_tenant
	count(permitting_roles) > 0
}

# METADATA
# description: Without a token the answer is that one is needed.
allow := {
	"allowed": false,
	"http_status": 401,
	"headers": {"www-authenticate": "Bearer"},
	"body": "Unauthorized: send a bearer token.\n",
} if {
	not user
}

# METADATA
# description: A token is good for the tenant that it names.
is_own_tenant if user.claims.tenant == tenant

# METADATA
# description: Operators work for every tenant.
is_own_tenant if {
	tenant
	"operator" in user.claims.roles
}

permitting_roles contains role if {
	some role in user.claims.roles
	some permission in data.roles[role]
	permission in {needed_permission, "*"}
}

needed_permission := concat(":", [resource, "read"]) if is_read

needed_permission := concat(":", [resource, "write"]) if not is_read

is_read if input.attributes.request.http.method in {"GET", "HEAD"}

tenant := input.parsed_path[1] if input.parsed_path[0] == "tenants"

resource := input.parsed_path[2]

user := input.identity.user
