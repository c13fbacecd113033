# METADATA
# title: API keys in tiers
# description: |
#   A client sends a key in the header `x-api-key`. Only digests of keys are in `data`: whoever reads the policy, its
#   bundle or its revisions learns no key. A key has 128 bits or more of randomness, so a plain SHA-256 is enough, and
#   a lookup by digest tells an attacker nothing about a key that is nearly right.
#
#   openssl rand -hex 32 | tee key | tr -d '\n' | sha256sum
package envoy.authz

default allow := {
	"allowed": false,
	"http_status": 401,
	"headers": {"www-authenticate": "ApiKey header=\"x-api-key\""},
	"body": "Unauthorized: send a valid key in x-api-key.\n",
}

# METADATA
# description: The service learns the client and never its key.
allow := {
	"allowed": true,
	"headers": {"x-client": client.name, "x-tier": client.tier},
	"request_headers_to_remove": ["x-api-key"],
	"response_headers_to_add": {"x-tier": client.tier},
} if {
	is_included
}

# METADATA
# description: A key that is valid, for something that its tier has not.
allow := {
	"allowed": false,
	"http_status": 403,
	"headers": {"x-tier": client.tier},
	"body": "Forbidden: your tier does not include this.\n",
} if {
	client
	not is_included
}

is_included if {
	some offer in data.tiers[client.tier]
	request.method in offer.methods
	array.slice(input.parsed_path, 0, count(offer.path)) == offer.path
}

# METADATA
# description: A key that was withdrawn stays in the data, so that its name is not given out again.
client := known if {
	known := data.keys[crypto.sha256(request.headers["x-api-key"])]
	not known.withdrawn
}

request := input.attributes.request.http
