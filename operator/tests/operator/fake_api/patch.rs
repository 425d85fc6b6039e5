//! The two kinds of patches that are computed: merge patches (RFC 7396) and JSON patches (RFC 6902).

use serde_json::Value;

/// Merges a patch into an object.
pub fn merge(object: &mut Value, patch: &Value) {
    match (object, patch) {
        (Value::Object(fields), Value::Object(changes)) => {
            for (name, change) in changes {
                if change.is_null() {
                    fields.remove(name);
                } else {
                    merge(fields.entry(name.clone()).or_insert(Value::Null), change);
                }
            }
        }
        (object, patch) => *object = patch.clone(),
    }
}

/// Takes the steps of a JSON patch: only `test`, `replace` and `remove`, which are all that the operator uses.
pub fn take_steps(object: &mut Value, steps: &Value) -> Result<(), String> {
    for step in steps.as_array().into_iter().flatten() {
        let path = step["path"].as_str().unwrap_or_default();
        match step["op"].as_str().unwrap_or_default() {
            "test" if object.pointer(path) == Some(&step["value"]) => {}
            "test" => return Err(format!("the test of {path} failed")),
            "remove" => remove(object, path)?,
            "replace" => *object.pointer_mut(path).ok_or_else(|| format!("there is no {path}"))? = step["value"].clone(),
            other => panic!("the fake API has no JSON patch {other}"),
        }
    }
    Ok(())
}

fn remove(object: &mut Value, path: &str) -> Result<(), String> {
    let (parent, last) = path.rsplit_once('/').unwrap_or_default();
    let missing = || format!("there is no {path}");
    match object.pointer_mut(parent).ok_or_else(missing)? {
        Value::Array(items) => {
            let position = last.parse::<usize>().ok().filter(|position| *position < items.len()).ok_or_else(missing)?;
            items.remove(position);
        }
        Value::Object(fields) => {
            fields.remove(last).ok_or_else(missing)?;
        }
        _ => return Err(missing()),
    }
    Ok(())
}
