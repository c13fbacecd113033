package envoy.authz_test

import data.envoy.authz

request(method, document, person) := {
	"attributes": {"request": {"http": {"method": method}}},
	"parsed_path": ["documents", document],
	"identity": {"user": {"issuer": "https://issuer.example", "subject": person, "claims": {}}},
}

test_a_relation_to_the_document_itself if {
	result := authz.allow with input as request("DELETE", "plan", "ann")
	result == {"allowed": true, "headers": {"x-user": "ann"}}
}

test_what_a_relation_allows[note] if {
	some note, case in {
		"a person of no group reads what is shared with them": ["GET", "note", "guest", true],
		"head is a read": ["HEAD", "note", "guest", true],
		"a viewer writes nothing": ["PUT", "note", "guest", false],
		"a folder above counts": ["GET", "handbook", "ben", true],
		"a folder far above counts": ["GET", "plan", "ben", true],
		"a group of a group counts": ["GET", "handbook", "ann", true],
		"an editor of the folder writes": ["PUT", "salaries", "pam", true],
		"an editor of the folder patches": ["PATCH", "salaries", "pam", true],
		"an editor deletes nothing": ["DELETE", "salaries", "pam", false],
		"an owner of a folder far above deletes": ["DELETE", "plan", "bea", true],
		"an owner of another folder does not": ["GET", "salaries", "bea", false],
		"a relation goes down and never up": ["GET", "handbook", "guest", false],
		"a method that is not known is for nobody": ["POST", "plan", "ann", false],
	}
	[method, document, person, allowed] := case
	result := authz.allow with input as request(method, document, person)
	result.allowed == allowed
}

test_who_may_read_is_told_that_more_is_forbidden if {
	result := authz.allow with input as request("DELETE", "handbook", "ben")
	result.http_status == 403
}

test_who_may_not_read_does_not_learn_that_it_exists if {
	secret := authz.allow with input as request("GET", "salaries", "ben")
	absent := authz.allow with input as request("GET", "no-such-document", "ben")
	secret == absent
	secret == {"allowed": false, "http_status": 404, "body": "Not found.\n"}
}

test_nobody_has_no_relation if {
	result := authz.allow with input as request("GET", "note", "guest") with input.identity as {}
	result.http_status == 404
}

test_a_path_below_a_document_is_not_the_document if {
	given := request("GET", "note", "guest")
	not authz.allow.allowed with input as given with input.parsed_path as ["documents", "note", "history"]
}

test_a_name_of_another_kind_is_not_a_document if {
	given := request("GET", "note", "guest")
	not authz.allow.allowed with input as given with input.parsed_path as ["folders", "note"]
}

test_an_input_that_says_nothing_is_not_allowed if {
	not authz.allow.allowed with input as {}
}
