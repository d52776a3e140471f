//! The world: `Scenario` and `Seed` in, tables of clusters, add-ons and apps out.
