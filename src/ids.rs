//! Small integers that name things of one run. An id is an index: dense, starting at zero, meaningless elsewhere. And the
//! uids of objects, which mean the same everywhere.

mod uid;

pub use uid::Uid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// The id as an index.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// The id of an index.
            ///
            /// # Panics
            /// When the index does not fit 32 bits: every table of ours is bounded far below.
            #[must_use]
            #[expect(clippy::cast_possible_truncation, reason = "asserted one line above")]
            pub const fn from_index(index: usize) -> Self {
                assert!(index <= u32::MAX as usize, "id out of range");
                Self(index as u32)
            }
        }
    };
}

id!(
    /// A managed cluster.
    ClusterId
);
id!(
    /// An add-on of the catalogue.
    AddonId
);
id!(
    /// An app: one add-on on one cluster.
    AppId
);
id!(
    /// One manager's share of the clusters.
    ShardId
);
id!(
    /// A change of the timeline as it meets one app.
    ChangeId
);
id!(
    /// An interned immutable document (canonical JSON).
    DocId
);
