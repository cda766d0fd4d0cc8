//! The calls about the cache of legacy answers.

use crate::service::permission::Right::Operate;
use crate::service::ports::Parts;

use super::super::cache;
use super::super::wire_cache::{CacheEntryView, CacheView, FlushBody, FlushedView, LoadedView};
use super::{Call, Touched, get, post};

pub(super) fn calls<P: Parts>() -> Vec<Call<P>> {
    vec![
        get(
            "/cache",
            Operate,
            "The cache of legacy answers, and the upstreams",
            cache::show::<P>,
        )
        .gives::<CacheView>(),
        get(
            "/cache/names/{name}",
            Operate,
            "What the cache holds of a name",
            cache::entries::<P>,
        )
        .gives::<Vec<CacheEntryView>>(),
        post(
            "/cache/flush",
            Operate,
            "Forgets everything, a name, or all below it",
            cache::flush::<P>,
        )
        .takes_with::<FlushBody>(|_, _| Ok(Touched::Node))
        .gives::<FlushedView>(),
        get(
            "/cache/lines",
            Operate,
            "Every reply that is held, a line of JSON each",
            cache::dump::<P>,
        )
        .gives_bytes("lines of JSON"),
        post(
            "/cache/lines",
            Operate,
            "Takes such lines in, as far as nothing newer is held",
            cache::load::<P>,
        )
        .takes_bytes("lines of JSON", |_, _| Ok(Touched::Node))
        .gives::<LoadedView>(),
    ]
}
