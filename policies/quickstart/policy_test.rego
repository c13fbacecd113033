# Run before each publication of the policy; one that fails keeps the policy out.
package envoy.authz_test

import data.envoy.authz

# A request as Envoy would describe it.
http(method, path) := {
	"attributes": {"request": {"http": {"method": method, "path": concat("/", array.concat([""], path))}}},
	"parsed_path": path,
	"identity": {},
}

alice(roles) := {"user": {
	"issuer": "https://issuer.example",
	"subject": "alice",
	"claims": {"sub": "alice", "roles": roles},
}}

as_user(request, user) := object.union(request, {"identity": user})

test_anybody_reads_what_is_public if {
	result := authz.allow with input as http("GET", ["public", "index.html"])
	result == {"allowed": true, "request_headers_to_remove": ["x-chancery-user"]}
}

test_head_is_a_read if {
	authz.allow.allowed with input as http("HEAD", ["public"])
}

test_nobody_writes_what_is_public if {
	result := authz.allow with input as http("POST", ["public", "index.html"])
	not result.allowed
	result.http_status == 403
}

test_public_is_a_whole_segment if {
	result := authz.allow with input as http("GET", ["publicity"])
	not result.allowed
}

test_without_a_token_hello_is_unauthorized if {
	result := authz.allow with input as http("GET", ["hello"])
	not result.allowed
	result.http_status == 401
	result.headers["www-authenticate"] == "Bearer"
}

test_a_user_says_hello_and_the_service_learns_the_name if {
	result := authz.allow with input as as_user(http("GET", ["hello"]), alice([]))
	result == {"allowed": true, "headers": {"x-chancery-user": "alice"}}
}

test_a_user_who_is_no_editor_writes_no_article if {
	result := authz.allow with input as as_user(http("POST", ["articles"]), alice(["reader"]))
	not result.allowed
	result.http_status == 403
}

test_an_editor_writes_articles if {
	result := authz.allow with input as as_user(http("POST", ["articles", "1"]), alice(["reader", "editor"]))
	result == {"allowed": true, "headers": {"x-chancery-user": "alice"}}
}

test_an_editor_deletes_nothing if {
	result := authz.allow with input as as_user(http("DELETE", ["articles", "1"]), alice(["editor"]))
	not result.allowed
}

test_what_no_rule_knows_is_forbidden if {
	result := authz.allow with input as as_user(http("GET", ["secrets"]), alice(["editor"]))
	result.http_status == 403
}

test_an_input_that_says_nothing_is_not_allowed if {
	not authz.allow.allowed with input as {}
}
