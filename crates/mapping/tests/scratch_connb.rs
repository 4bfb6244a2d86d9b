#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
use serde_json::{Value as J, json};
use std::{fs, path::Path};
use vrl::{
    compiler::{CompileConfig, TargetValue, TimeZone, TypeState, runtime::Runtime, state::{ExternalEnv, LocalEnv}},
    value::{Kind, Secrets, Value, kind::Collection},
};
fn named(name: &str) -> J {
    let short = name.rsplit('.').next().unwrap();
    serde_json::from_str(&fs::read_to_string(format!("../../schemas/common/{short}.avsc")).unwrap()).unwrap()
}
fn kind(t: &J) -> Kind {
    match t {
        J::String(s) => match s.as_str() {
            "string" | "bytes" => Kind::bytes(), "boolean" => Kind::boolean(), "int" | "long" => Kind::integer(),
            "null" => Kind::null().or_undefined(), "double" | "float" => Kind::float(),
            other => kind(&named(other)),
        },
        J::Array(u) => u.iter().map(kind).reduce(|a, b| a.union(b)).unwrap(),
        J::Object(o) => match o["type"].as_str() {
            Some("record") => {
                let mut c = Collection::empty();
                for f in o["fields"].as_array().unwrap() {
                    c.known_mut().insert(f["name"].as_str().unwrap().into(), kind(&f["type"]));
                }
                Kind::object(c)
            }
            Some("enum") => Kind::bytes(),
            Some("array") => Kind::array(Collection::from_unknown(kind(&o["items"]))),
            Some("map") => Kind::object(Collection::from_unknown(kind(&o["values"]))),
            _ if o.contains_key("logicalType") => Kind::bytes(),
            _ => kind(&o["type"]),
        },
        _ => panic!(),
    }
}
#[test]
fn base() {
    let generate = std::env::var("GEN").is_ok();
    let mut bad = 0;
    for system in ["stripe", "shopify", "hubspot", "quickbooks", "xero"] {
        let dir = format!("../../connectors/{system}/mappings");
        if !Path::new(&dir).exists() { continue }
        let mut files: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "vrl")).collect();
        files.sort();
        for file in files {
            let object = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let source = fs::read_to_string(&file).unwrap();
            let base = object.split('.').next().unwrap().to_owned();
            let schema: J = serde_json::from_str(&fs::read_to_string(format!("../../schemas/{base}.v1.avsc")).unwrap()).unwrap();
            let data = kind(&schema["fields"][1]["type"]);
            let mut meta = Collection::empty();
            for (n, k) in [("id", Kind::bytes()), ("object", Kind::bytes()), ("entity_id", Kind::bytes()), ("source_version", Kind::integer()), ("occurred_at", Kind::bytes()), ("tenant", Kind::bytes())] { meta.known_mut().insert(n.into(), k); }
            let mut m = Collection::empty();
            m.known_mut().insert("event".into(), Kind::object(meta));
            let state = TypeState { local: LocalEnv::default(), external: ExternalEnv::new_with_kind(data, Kind::object(m)) };
            let compiled = match vrl::compiler::compile_with_state(&source, &vrl::stdlib::all(), &state, CompileConfig::default()) {
                Ok(r) => { for w in r.warnings.iter() { println!("WARN {system}/{object}: {}", w.message()); } r.program }
                Err(d) => { bad += 1; println!("{}", vrl::diagnostic::Formatter::new(&source, d)); println!("^^^ {system}/{object}"); continue }
            };
            let tests = format!("{dir}/tests");
            for t in fs::read_dir(&tests).into_iter().flatten().map(|e| e.unwrap().path()) {
                let name = t.file_name().unwrap().to_str().unwrap().to_owned();
                if !name.starts_with(&format!("{object}.")) || name.starts_with(&format!("{object}.void.")) && !object.contains("void") { continue }
                let case: J = J::Object(fs::read_to_string(&t).unwrap().lines().filter(|l| !l.starts_with('#')).map(|l| { let (k, v) = l.split_once(": ").unwrap(); (k.to_owned(), serde_json::from_str::<J>(v).unwrap()) }).collect());
                let mut target = TargetValue { value: case["input"].clone().into(), metadata: json!({"event": case.get("event").cloned().unwrap_or(json!({"id": "e", "entity_id": case["input"]["id"], "source_version": 1}))}).into(), secrets: Secrets::new() };
                let out = Runtime::default().resolve(&mut target, &compiled, &TimeZone::default());
                let said: J = match out { Ok(_) => { let v: Value = target.value; v.try_into().unwrap() } Err(e) => json!({"REFUSED": e.to_string()}) };
                if generate { println!("GEN {}\t{}", t.display(), said); continue }
                let fine = match case.get("refused") { Some(r) => said["REFUSED"].as_str().is_some_and(|m| m.contains(r["message"].as_str().unwrap())), None => said == case["expected"] };
                if !fine { bad += 1; println!("FAIL {}: {said}", t.display()); }
            }
        }
    }
    assert_eq!(bad, 0);
}
