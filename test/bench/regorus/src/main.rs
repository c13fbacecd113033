//! The peer `regorus` of `npm run bench:policy`: one request a line on standard input, one answer a line.
//!
//! A request names a policy, its entrypoint and inputs as texts; the answer holds each value as text (`null` when it is
//! undefined), and the nanoseconds that reading, evaluating and writing all of them took.

use std::io::{BufRead, Write};
use std::time::Instant;

use serde_json::{Value as Json, json};

fn main() {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let answer = answer(&line).unwrap_or_else(|error| json!({ "error": error.to_string() }));
        if writeln!(out, "{answer}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

fn answer(line: &str) -> Result<Json, Box<dyn std::error::Error>> {
    let request: Json = serde_json::from_str(line)?;
    let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
    let mut engine = regorus::Engine::new();
    engine.add_policy("policy.rego".to_owned(), text("rego"))?;
    engine.add_data(regorus::Value::from_json_str(&text("data"))?)?;
    let rule = format!("data.{}", text("entrypoint").replace('/', ".")).into();
    let policy = engine.compile_with_entrypoint(&rule)?;
    let inputs: Vec<&str> = request["inputs"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let rounds = request["rounds"].as_u64().unwrap_or(1);
    let mut values = Vec::new();
    let started = Instant::now();
    for _ in 0..rounds {
        values.clear();
        for input in &inputs {
            let value = policy.eval_with_input(regorus::Value::from_json_str(input)?)?;
            values.push(if value == regorus::Value::Undefined { None } else { Some(value.to_json_str()?) });
        }
    }
    let nanoseconds = u64::try_from(started.elapsed().as_nanos())?;
    Ok(json!({ "values": values, "nanoseconds": nanoseconds }))
}
