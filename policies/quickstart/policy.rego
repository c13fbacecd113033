# The first policy to read. Envoy asks `data.envoy.authz.allow` about each request.
#
# What the policy knows of a request is `input`:
#   input.attributes.request.http   method, path, host, headers … as Envoy sends them
#   input.parsed_path               the path without its query, in segments: /public/a → ["public", "a"]
#   input.identity                  who is asking, verified before this policy runs: {} for nobody,
#                                   {"user": {"issuer", "subject", "claims"}} for the bearer of a valid token
#
# What it says is an object: `allowed`, and for an allowed request the headers that the service gets, or for
# a denied one the status and the body that the client gets. Nothing is allowed unless a rule below says so.
package envoy.authz

default allow := {
	"allowed": false,
	"http_status": 403,
	"body": "Forbidden: no rule of the policy allows this request.\n",
}

# Anybody may read what is public. No `user` is needed, and none is passed on: a client could have sent the
# header itself, so it is removed.
allow := {"allowed": true, "request_headers_to_remove": ["x-chancery-user"]} if {
	is_public
	is_read
}

# Whoever has proven who they are is told apart from everybody else: the service gets their name.
allow := {"allowed": true, "headers": {"x-chancery-user": user.subject}} if {
	not is_public
	may_pass
}

# Nobody has shown a token: the answer says that one is needed.
allow := {
	"allowed": false,
	"http_status": 401,
	"headers": {"www-authenticate": "Bearer"},
	"body": "Unauthorized: send a bearer token, or ask for something below /public.\n",
} if {
	not is_public
	not user
}

# A verified user may say hello …
may_pass if {
	user
	is_read
	segments == ["hello"]
}

# … and an editor may write articles as well.
may_pass if {
	"editor" in user.claims.roles
	request.method == "POST"
	segments[0] == "articles"
}

is_public if segments[0] == "public"

is_read if request.method in {"GET", "HEAD"}

user := input.identity.user

segments := input.parsed_path

request := input.attributes.request.http
