//! The edges to the world: each adapter gives one port of the core its production form.

pub mod legacy;
