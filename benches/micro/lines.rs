//! Making a line of the log with the fields that a request's has. Who fills them in keeps that to itself, so that the masking of
//! paths is not in it; nor is the writing.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use criterion::Criterion;
use doorward::log::{Line, Shape, line};
use serde_json::Value;

use crate::people::ann;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log line");
    let client: IpAddr = "192.0.2.17".parse().expect("an address");
    let user = ann().principal.clone();
    let fields = |line: &mut Line<'_>| {
        line.text("method", black_box("GET"));
        line.shown("path", black_box("/api/orders/4711/items"));
        line.text("route", black_box("/api/orders"));
        line.number("status", black_box(200));
        line.milliseconds("ms", black_box(Duration::from_micros(1_234)));
        line.number("bytes_in", black_box(0));
        line.number("bytes_out", black_box(1_024));
        line.truth("complete", black_box(true));
        line.shown("client", black_box(client));
        line.shown("user", black_box(&user));
        line.text("upstream", black_box("orders"));
        line.text("request_id", black_box("0193f3f2-7c1e-7d6a-8a55-3d2a9b1c0e4f"));
    };
    let write = |shape, bytes: &mut Vec<u8>| {
        bytes.clear();
        let time = black_box("2026-11-23T02:30:00.123456Z");
        line(shape, bytes, time, ("doorward::access", "request"), fields);
    };
    let mut bytes = Vec::new();
    write(Shape::Json, &mut bytes);
    let read: Value = serde_json::from_slice(&bytes).expect("an object");
    assert_eq!((&read["status"], &read["ms"]), (&200.into(), &1.234.into()));
    group.bench_function("json", |bencher| bencher.iter(|| write(Shape::Json, &mut bytes)));
    write(Shape::Text, &mut bytes);
    assert!(String::from_utf8_lossy(&bytes).contains(" status=200 ms=1.234 "));
    group.bench_function("text", |bencher| bencher.iter(|| write(Shape::Text, &mut bytes)));
    group.finish();
}
