package envoy.authz_test

import data.envoy.authz

# A read of somebody's records on a day, by a workload and a user, with headers.
request(person, workload, user, headers) := {
	"attributes": {"request": {
		"time": "2026-11-29T10:15:30.123Z",
		"http": {"method": "GET", "headers": headers},
	}},
	"parsed_path": ["people", person, "records"],
	"identity": {
		"workload": {"spiffe": concat("/", ["spiffe://health.test", workload])},
		"user": user,
	},
}

citizen(person) := {"issuer": "https://id.test", "subject": person, "claims": {"roles": []}}

doctor := {"issuer": "https://id.test", "subject": "D7", "claims": {"roles": ["doctor"]}}

clerk := {"issuer": "https://id.test", "subject": "C3", "claims": {"roles": ["clerk"]}}

test_people_read_their_own_records if {
	result := authz.allow with input as request("P1002", "portal", citizen("P1002"), {})
	result == {
		"allowed": true,
		"headers": {"x-basis": "own", "x-audit": "normal"},
		"request_headers_to_remove": ["x-break-glass"],
		"dynamic_metadata": {"access": {"basis": "own", "person": "P1002"}},
	}
}

test_people_do_not_read_the_records_of_others if {
	result := authz.allow with input as request("P1001", "portal", citizen("P1002"), {})
	result == {
		"allowed": false,
		"http_status": 403,
		"body": "Forbidden: there is no consent for this.\n",
		"dynamic_metadata": {"access": {"basis": "none"}},
	}
}

test_who_treats_a_person_reads[note] if {
	some note, case in {
		"a doctor of the clinic": ["P1001", "clinic-north", doctor, true],
		"no clerk of the clinic": ["P1001", "clinic-north", clerk, false],
		"no doctor of another clinic": ["P1001", "clinic-south", doctor, false],
		"no doctor for another person": ["P1002", "clinic-north", doctor, false],
	}
	[person, workload, user, allowed] := case
	result := authz.allow with input as request(person, workload, user, {})
	result.allowed == allowed
}

test_consent_is_for_one_organisation_and_purpose_and_time[note] if {
	some note, case in {
		"what was consented to": ["P1001", "insurer", "claims", true],
		"another purpose": ["P1001", "insurer", "marketing", false],
		"another organisation": ["P1001", "university", "claims", false],
		"a consent that has ended": ["P1001", "university", "research", false],
		"a person who has not consented": ["P1002", "insurer", "claims", false],
	}
	[person, workload, purpose, allowed] := case
	result := authz.allow with input as request(person, workload, clerk, {"x-purpose": purpose})
	result.allowed == allowed
}

test_a_consent_holds_on_its_last_day_and_not_on_the_next[note] if {
	some note, case in {
		"last": ["2026-12-31T23:59:59Z", true],
		"next": ["2027-01-01T00:00:00Z", false],
	}
	[time, allowed] := case
	given := request("P1001", "insurer", clerk, {"x-purpose": "claims"})
	result := authz.allow with input as given with input.attributes.request.time as time
	result.allowed == allowed
}

test_a_request_without_a_time_has_no_consent if {
	given := json.remove(request("P1001", "insurer", clerk, {"x-purpose": "claims"}), ["attributes/request/time"])
	not authz.allow.allowed with input as given
}

test_break_glass_is_allowed_recorded_and_told if {
	headers := {"x-break-glass": " unconscious after an accident "}
	result := authz.allow with input as request("P1002", "emergency", doctor, headers)
	result == {
		"allowed": true,
		"headers": {
			"x-basis": "break-glass",
			"x-audit": "high",
			"x-audit-reason": "unconscious after an accident",
		},
		"request_headers_to_remove": ["x-break-glass"],
		"response_headers_to_add": {"x-break-glass": "recorded"},
		"dynamic_metadata": {"access": {
			"basis": "break-glass",
			"person": "P1002",
			"reason": "unconscious after an accident",
			"by": "D7",
		}},
	}
}

test_who_breaks_the_glass[note] if {
	some note, case in {
		"a doctor with a reason": ["emergency", doctor, "unconscious after an accident", true],
		"no clerk": ["emergency", clerk, "unconscious after an accident", false],
		"no other department": ["clinic-south", doctor, "unconscious after an accident", false],
		"nobody without a reason": ["emergency", doctor, "", false],
		"nobody with half a word": ["emergency", doctor, "      x      ", false],
	}
	[workload, user, reason, allowed] := case
	result := authz.allow with input as request("P1002", workload, user, {"x-break-glass": reason})
	result.allowed == allowed
}

test_the_glass_stays_whole_where_an_ordinary_way_is_open if {
	headers := {"x-break-glass": "unconscious after an accident", "x-purpose": "claims"}
	given := object.union(request("P1001", "emergency", doctor, headers), {"identity": {"user": {"subject": "P1001"}}})
	result := authz.allow with input as given
	result.headers == {"x-basis": "own", "x-audit": "normal"}
}

test_records_are_only_read if {
	given := request("P1002", "portal", citizen("P1002"), {})
	not authz.allow.allowed with input as given with input.attributes.request.http.method as "PUT"
	not authz.allow.allowed with input as given with input.parsed_path as ["people", "P1002", "records", "1"]
	not authz.allow.allowed with input as given with input.parsed_path as ["people", "P1002", "letters"]
	not authz.allow.allowed with input as given with input.parsed_path as ["persons", "P1002", "records"]
}

test_an_input_that_says_nothing_is_not_allowed if {
	not authz.allow.allowed with input as {}
}
