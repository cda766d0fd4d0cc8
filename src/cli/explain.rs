//! `kedge explain`.

use crate::adapters::http::wire::ExplainView;

use super::args::Question;
use super::connect::{Place, segment};
use super::exit::Failure;
use super::output::show;

pub(super) fn run(place: &Place, question: &Question) -> Result<(), Failure> {
    let mut path = format!(
        "/explain?name={}&type={}",
        segment(&question.name),
        segment(&question.kind)
    );
    if let Some(from) = question.from {
        path.push_str("&from=");
        path.push_str(&segment(&from.to_string()));
    }
    if let Some(transport) = &question.transport {
        path.push_str("&transport=");
        path.push_str(&segment(transport));
    }
    if let Some(device) = &question.device {
        path.push_str("&device=");
        path.push_str(&segment(device));
    }
    if let Some(identity) = &question.certificate {
        path.push_str("&certificate=");
        path.push_str(&segment(identity));
    }
    if let Some(key) = &question.tsig {
        path.push_str("&tsig=");
        path.push_str(&segment(key));
    }
    if let Some(at) = &question.at {
        path.push_str("&at=");
        path.push_str(&segment(at));
    }
    let view: ExplainView =
        place.with_client(|client| async move { Ok(client.get(&path).await?) })?;
    show(place.json, &view, lines)
}

fn lines(view: &ExplainView) -> Vec<String> {
    let at = view.at.as_ref();
    let at = at.map_or_else(String::new, |at| format!(" at {at}"));
    let mut lines = vec![format!(
        "{} {} asked from {}{at}",
        view.name, view.kind, view.from
    )];
    lines.extend(view.steps.iter().map(|step| format!("  {step}")));
    let flags = match (view.authoritative, view.authentic) {
        (true, _) => ", authoritative",
        (false, true) => ", validated",
        (false, false) => "",
    };
    lines.push(format!(
        "outcome  {} ({}{flags}) in {}.{:03} ms",
        view.outcome,
        view.side,
        view.elapsed_us / 1000,
        view.elapsed_us % 1000
    ));
    for (title, section) in [
        ("answer", &view.answers),
        ("authority", &view.authorities),
        ("additional", &view.additionals),
        ("extended error", &view.errors),
    ] {
        lines.extend(section.iter().map(|record| format!("{title}: {record}")));
    }
    lines.extend(view.cached.iter().map(|cached| format!("cached: {cached}")));
    lines
}
