//! `kedge name diff`.

use crate::adapters::http::wire_past::{DiffView, Side};

use super::connect::{Place, segment};
use super::exit::Failure;
use super::output::show;

pub(super) fn run(place: &Place, name: &str, from: &str, to: Option<&str>) -> Result<(), Failure> {
    let to = to.map_or_else(String::new, |to| format!("&to={}", segment(to)));
    let (name, from) = (segment(name), segment(from));
    let path = format!("/names/{name}/diff?from={from}{to}");
    let view: DiffView = place.with_client(|client| async move { Ok(client.get(&path).await?) })?;
    show(place.json, &view, lines)
}

fn lines(view: &DiffView) -> Vec<String> {
    let head = |mark: &str, side: &Side| {
        let Side { version, time } = side;
        format!("{mark} {} version {version} of {time}", view.name)
    };
    let mut lines = vec![head("---", &view.from), head("+++", &view.to)];
    let records = view.lines.iter();
    lines.extend(records.map(|line| format!("{}{}", line.sign, line.record)));
    if view.lines.is_empty() {
        lines.push("the record sets are the same".to_owned());
    }
    lines
}
