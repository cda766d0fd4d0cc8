//! `Alias`: the index's own spelling of a name, broad to narrow.
