use super::*;
use serde_json::json;

/// A schema with one field of most sorts.
fn schema() -> Value {
    json!({ "type": "object", "properties": {
        "name": { "type": "string" }, "count": { "type": "integer" }, "share": { "type": "number" },
        "on": { "type": "boolean" }, "port": { "x-kubernetes-int-or-string": true },
        "since": { "type": "string", "format": "date-time" }, "wait": { "type": "string", "format": "duration" },
        "tags": { "type": "array", "items": { "type": "string" } },
        "set": { "type": "array", "x-kubernetes-list-type": "set", "items": { "type": "string" } },
        "labels": { "type": "object", "additionalProperties": { "type": "string" } },
        "max-size": { "type": "integer" },
        "parts": { "type": "array", "items": { "type": "object", "properties": {
            "name": { "type": "string" }, "size": { "type": "integer" } } } },
    } })
}

fn object() -> Value {
    json!({ "metadata": {}, "name": "web", "count": 3, "share": 2, "on": true, "port": "http", "since": "2026-01-02T03:04:05Z",
        "wait": "90s", "tags": ["a", "b"], "set": ["x", "y"], "labels": { "app": "web" }, "max-size": 7,
        "parts": [{ "name": "p", "size": 1 }, { "name": "q", "size": 2 }] })
}

fn compiled(text: &str) -> Result<(Program, Type), String> {
    let kind = Type::of_schema(&schema(), true, "self").unwrap();
    let variables = [("self", kind.clone()), ("oldSelf", kind.clone())];
    Program::compile(text, &variables).map(|program| (program, kind))
}

fn run(text: &str) -> Result<Output, Failed> {
    let (program, kind) = compiled(text).unwrap_or_else(|why| panic!("{why}"));
    let object = object();
    program.run(&[("self", Input::Value(&object, &kind))], &mut CALL_MAX.clone())
}

#[test]
fn expressions_hold() {
    for text in [
        "self.count == 3 && self.share == 2.0 && self.on",
        "1 + 2 * 3 == 7 && (1 + 2) * 3 == 9 && 7 % 4 == 3 && -2 < 1 && 7 / 2 == 3",
        "has(self.name) && !has(self.metadata.name)",
        "self.max__dash__size == 7",
        "type(self.port) == string && self.port == 'http'",
        "self.tags.all(t, t.size() == 1) && self.tags.exists(t, t == 'b') && self.tags.exists_one(t, t == 'a')",
        "self.tags.map(t, t + '!') == ['a!', 'b!'] && self.tags.map(t, t > 'a', t) == ['b']",
        "self.parts.filter(p, p.size > 1).map(p, p.name) == ['q'] && self.parts.map(p, p.size).sum() == 3",
        "self.labels['app'] == 'web' && 'app' in self.labels && self.labels.all(k, k.startsWith('a'))",
        "self.labels.all(k, v, k == 'app' && v == 'web') && self.tags.transformList(i, t, i) == [0, 1]",
        "self.set == ['y', 'x'] && self.tags != ['b', 'a']",
        "self.since < timestamp('2027-01-01T00:00:00Z') && self.since.getFullYear() == 2026 && self.since.getMonth() == 0",
        "self.wait == duration('1m30s') && self.wait.getSeconds() == 90",
        "self.name.matches('^[a-z]+$') && self.name.contains('e') && 'a-b'.split('-').size() == 2",
        "'%s has %d'.format([self.name, self.count]) == 'web has 3' && 'abc'.substring(1, 2) == 'b'",
        "'hello'.find('l+') == 'll' && '123 45'.findAll('[0-9]+') == ['123', '45']",
        "self.tags.isSorted() && [3, 1].min() == 1 && [1, 2, 1].indexOf(2) == 1",
        "quantity('1Gi').isGreaterThan(quantity('1G')) && quantity('100m').add(quantity('0.9')).compareTo(quantity('1')) == 0",
        "ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.2.3') && !isIP('10.0.0') && isCIDR('::/0')",
        "url('https://a.example.com:80/x?y=z').getHost() == 'a.example.com:80' && isURL('/x') && !isURL('x')",
        "url('https://a/x?y=z').getQuery()['y'] == ['z'] && url('https://a:8/').getPort() == '8'",
        "!format.dns1123Label().validate('UP').value().isSorted() == false && !format.named('nope').hasValue()",
        "self.?name.orValue('none') == 'web' && self.metadata.?name.orValue('none') == 'none'",
        "optional.of(1).optMap(x, x + 1).value() == 2 && optional.none().or(optional.of(3)).value() == 3",
        "[1, 2].exists(x, 1 / (x - 1) > 0) && !(false && 1 / 0 > 0) && (true || 1 / 0 > 0)",
        "semver('1.2.3').isLessThan(semver('1.10.0')) && sets.contains([1, 2], [2]) && string(1.5) == '1.5'",
        "{'a': 1}.a == 1 && {'a': 1, 'b': 2}.size() == 2 && dyn(1) == 1u && 1 < 1.5 && b'ab'.size() == 2",
        "self.count > 2 ? 'x' in ['x'] : false",
        "'\\u00e9\\n' == \"é\\n\" && r'\\d' == '\\\\d' && '''a'b''' == \"a'b\"",
    ] {
        assert_eq!(run(text), Ok(Output::Truth(true)), "{text}");
    }
}

#[test]
fn errors_are_in_the_words_of_the_original() {
    for (text, why) in [
        ("1 / (self.count - 3) == 0", "division by zero"),
        ("self.labels['no'] == ''", "no such key: no"),
        ("self.tags[5] == ''", "index out of bounds: 5"),
        ("self.metadata.name == ''", "no such key: name"),
        ("self.port > 3", "no such overload"),
        ("9223372036854775807 + self.count > 0", "integer overflow"),
    ] {
        assert_eq!(run(text), Err(Failed::Error(why.to_owned())), "{text}");
    }
}

/// Recorded from kube-apiserver 1.36.3.
#[test]
fn what_does_not_fit_is_marked_where_it_stands() {
    for (text, why) in [
        ("self.nope == 1", "ERROR: <input>:1:5: undefined field 'nope'\n | self.nope == 1\n | ....^"),
        (
            "[1, 'a'].size() == 2",
            "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a'].size() == 2\n | ....^",
        ),
        ("nope == 1", "ERROR: <input>:1:1: undeclared reference to 'nope' (in container '')\n | nope == 1\n | ^"),
        (
            "self.count == 'a'",
            "ERROR: <input>:1:12: found no matching overload for '_==_' applied to '(int, string)'\n | self.count == 'a'\n | ...........^",
        ),
        (
            "self.name.nope()",
            "ERROR: <input>:1:15: undeclared reference to 'nope' (in container '')\n | self.name.nope()\n | ..............^",
        ),
        (
            "self.count.startsWith('a')",
            "ERROR: <input>:1:22: found no matching overload for 'startsWith' applied to 'int.(string)'\n | self.count.startsWith('a')\n | .....................^",
        ),
    ] {
        assert_eq!(compiled(text).map(|_| ()), Err(why.to_owned()), "{text}");
    }
}

#[test]
fn a_run_ends_when_its_budget_is_spent() {
    let (program, kind) = compiled("self.tags.all(a, self.tags.all(b, self.tags.all(c, a != 'z')))").unwrap();
    let object = json!({ "tags": vec!["x"; 300] });
    let mut budget = 20_000;
    assert_eq!(program.run(&[("self", Input::Value(&object, &kind))], &mut budget), Err(Failed::TooMuch));
    assert_eq!(budget, 0);
}

proptest::proptest! {
    /// Whatever somebody writes is read or refused.
    #[test]
    fn no_text_breaks_the_reader(text in "[ -~é\n]{0,40}") {
        let _ = compiled(&text);
    }

    #[test]
    fn no_words_break_the_reader(words in proptest::collection::vec(
        proptest::sample::select(vec!["self", ".", "count", "tags", "(", ")", "[", "]", "{", "}", ":", ",", "?", "==", "in",
            "all", "map", "x", "'a'", "1", "-", "!", "&&", "has", "optional", "none", "1.5", "\"", "b'", "size"]), 0..20)) {
        let text = words.join(" ");
        if let Ok((program, kind)) = compiled(&text) {
            let object = object();
            let _ = program.run(&[("self", Input::Value(&object, &kind))], &mut CALL_MAX.clone());
        }
    }
}
