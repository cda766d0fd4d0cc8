//! `kedge cache`: what is held of legacy answers, shown, forgotten, dumped and loaded.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::path::Path;

use hyper::Method;

use crate::adapters::http::ClientError;
use crate::adapters::http::wire_cache::{
    CacheEntryView, CacheView, FlushBody, FlushedView, LoadedView, UpstreamView,
};

use super::args_cache::CacheCommand;
use super::connect::{Place, segment};
use super::exit::{Code, Failure};
use super::local::usage;
use super::output::show;

/// Bytes of lines that are sent at once.
const SENT_BYTES: usize = 1 << 20;
/// A longer line holds no answer: a message has 64 KiB, and text takes at most some four for one.
const LINE_BYTES_MAX: u64 = 1 << 20;

pub(super) fn run(place: &Place, what: CacheCommand) -> Result<(), Failure> {
    match what {
        CacheCommand::Show { name: None } => whole(place),
        CacheCommand::Show { name: Some(name) } => entries(place, &name),
        CacheCommand::Flush { name, below } => flush(place, FlushBody { name, below }),
        CacheCommand::Dump => dump(place),
        CacheCommand::Load { file } => load(place, &file),
    }
}

fn whole(place: &Place) -> Result<(), Failure> {
    let view: CacheView =
        place.with_client(|client| async move { Ok(client.get("/cache").await?) })?;
    show(place.json, &view, |view| {
        let mut lines = vec![
            format!("{} answer(s) in {} bytes", view.entries, view.bytes),
            format!(
                "  {} hit(s), {} handed on, {} joined, {} stale, {} asked ahead",
                view.hits, view.exchanges, view.joined, view.stale, view.prefetched
            ),
            format!(
                "  {} remembered failure(s) given, {} sudden absence(s), {} turned away",
                view.failure_hits, view.sudden_empties, view.overloads
            ),
            format!("  {} under way, {} waiting", view.under_way, view.waiting),
        ];
        lines.extend(view.upstreams.iter().map(upstream_line));
        lines
    })
}

fn upstream_line(view: &UpstreamView) -> String {
    let usual = view.usual_us.map_or_else(
        || "never answered".to_owned(),
        |usual| format!("usually {}.{:03} ms", usual / 1_000, usual % 1_000),
    );
    let paused = if view.paused {
        ", asked last for a while"
    } else {
        ""
    };
    format!(
        "upstream {}: {usual}, {} answer(s), {} failure(s){paused}",
        view.upstream, view.answered, view.failed
    )
}

fn entries(place: &Place, name: &str) -> Result<(), Failure> {
    let path = format!("/cache/names/{}", segment(name));
    let views: Vec<CacheEntryView> =
        place.with_client(|client| async move { Ok(client.get(&path).await?) })?;
    if views.is_empty() && !place.json {
        return Err(Failure::new(
            Code::NotFound,
            format!("nothing is held of {name}"),
            None,
        ));
    }
    show(place.json, &views, |views| {
        views.iter().flat_map(entry_lines).collect()
    })
}

fn entry_lines(view: &CacheEntryView) -> Vec<String> {
    let line = &view.line;
    let flag = |is_set: bool, name: &str| {
        if is_set {
            format!(" {name}")
        } else {
            String::new()
        }
    };
    let age = view.age_secs.map_or_else(String::new, |age_secs| {
        format!(
            ", {} s left, {age_secs} s old, {} from {}, asked for {} time(s)",
            view.left_secs, line.code, line.upstream, view.asked
        )
    });
    let head = format!(
        "{} {}{}{}: {}{age}",
        line.name,
        line.kind,
        flag(line.dnssec_ok, "DO"),
        flag(line.checking_disabled, "CD"),
        view.state
    );
    let mut lines = vec![head];
    if let (Some(failure), Some(left)) = (&view.failure, view.failure_left_secs) {
        lines.push(format!("  failed: {failure}; nobody is asked for {left} s"));
    }
    for (section, records) in [
        ("answer", &line.answers),
        ("authority", &line.authorities),
        ("additional", &line.additionals),
    ] {
        lines.extend(
            records
                .iter()
                .map(|record| format!("  {section}: {record}")),
        );
    }
    lines
}

fn flush(place: &Place, body: FlushBody) -> Result<(), Failure> {
    let view: FlushedView = place.with_client(|client| async move {
        Ok(client.send(Method::POST, "/cache/flush", &body).await?)
    })?;
    show(place.json, &view, |view| {
        vec![format!("{} answer(s) forgotten", view.flushed)]
    })
}

fn dump(place: &Place) -> Result<(), Failure> {
    place.with_client(|client| async move {
        let take = |piece: &[u8]| io::stdout().write_all(piece);
        match client.download("/cache/lines", take).await {
            // A reader that went away ends the command quietly.
            Err(ClientError::Local(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    })
}

fn load(place: &Place, file: &Path) -> Result<(), Failure> {
    let fault = |error: &io::Error| {
        let hint = Some("`kedge cache dump` prints such lines");
        usage(format!("{}: {error}", file.display()), hint)
    };
    let source: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).map_err(|error| fault(&error))?)
    };
    let mut source = BufReader::new(source);
    let mut all = LoadedView::default();
    loop {
        let lines = next_lines(&mut source).map_err(|error| fault(&error))?;
        if lines.is_empty() {
            break;
        }
        let part: LoadedView = place.with_client(|client| async move {
            Ok(client.send_bytes("/cache/lines", lines).await?)
        })?;
        all.kept += part.kept;
        all.older += part.older;
        all.over += part.over;
        all.unfit += part.unfit;
        all.first_unfit = all.first_unfit.or(part.first_unfit);
    }
    show(place.json, &all, |all| {
        let mut lines = vec![format!(
            "{} answer(s) loaded; {} older than what is held, {} over, {} of no use",
            all.kept, all.older, all.over, all.unfit
        )];
        lines.extend(all.first_unfit.iter().map(|first| format!("  {first}")));
        lines
    })
}

/// Whole lines, as many as are sent at once; none at the end.
fn next_lines(source: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    while lines.len() < SENT_BYTES {
        let before = lines.len();
        let read = source
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut lines)?;
        if read == 0 {
            break;
        }
        if lines.last() != Some(&b'\n') {
            if u64::try_from(lines.len() - before).is_ok_and(|read| read >= LINE_BYTES_MAX) {
                return Err(io::Error::other("a line is longer than any answer"));
            }
            lines.push(b'\n');
        }
    }
    Ok(lines)
}
