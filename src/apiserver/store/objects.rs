//! Objects in the order of their storage keys.

use crate::apiserver::object::Object;
use crate::apiserver::select::Selector;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// A sorted map by (namespace, name). The order is that of the text `namespace/name`, as in etcd: `a-b/x` comes before
/// `a/x`.
#[derive(Clone, Debug, Default)]
pub(in crate::apiserver) struct Objects {
    namespaces: Vec<(Arc<str>, Named)>,
}

/// The objects of one namespace by name.
type Named = BTreeMap<Arc<str>, Arc<Object>>;

/// The order of two namespaces as parts of a path.
pub(super) fn path_order(a: &str, b: &str) -> Ordering {
    a.bytes().chain([b'/']).cmp(b.bytes().chain([b'/']))
}

/// The order of two keys.
pub(super) fn key_order(a: (&str, &str), b: (&str, &str)) -> Ordering {
    path_order(a.0, b.0).then_with(|| a.1.cmp(b.1))
}

impl Objects {
    fn position(&self, namespace: &str) -> Result<usize, usize> {
        self.namespaces.binary_search_by(|(known, _)| path_order(known, namespace))
    }

    pub(in crate::apiserver) fn get(&self, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.namespaces[self.position(namespace).ok()?].1.get(name)
    }

    pub(in crate::apiserver) fn insert(&mut self, object: Arc<Object>) {
        let at = match self.position(&object.meta.namespace) {
            Ok(at) => at,
            Err(at) => {
                self.namespaces.insert(at, (object.meta.namespace.clone(), BTreeMap::new()));
                at
            }
        };
        self.namespaces[at].1.insert(object.meta.name.clone(), object);
    }

    pub(in crate::apiserver) fn remove(&mut self, namespace: &str, name: &str) {
        let Ok(at) = self.position(namespace) else { return };
        self.namespaces[at].1.remove(name);
        if self.namespaces[at].1.is_empty() {
            self.namespaces.remove(at);
        }
    }

    /// Objects of one namespace or all, right after a key if one is given.
    pub(in crate::apiserver) fn range<'a>(
        &'a self,
        namespace: Option<&'a str>,
        after: Option<(&'a str, &'a str)>,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        let first =
            after.map_or(0, |(ns, _)| self.namespaces.partition_point(|(known, _)| path_order(known, ns).is_lt()));
        self.namespaces[first..]
            .iter()
            .filter(move |(known, _)| namespace.is_none_or(|wanted| **known == *wanted))
            .flat_map(move |(known, objects)| {
                let start = match after {
                    Some((ns, name)) if ns == &**known => Bound::Excluded(name),
                    _ => Bound::Unbounded,
                };
                objects.range::<str, _>((start, Bound::Unbounded)).map(|(_, object)| object)
            })
    }
}

/// Which objects a list wants.
pub(in crate::apiserver) struct Range<'a> {
    pub(in crate::apiserver) namespace: Option<&'a str>,
    pub(in crate::apiserver) after: Option<(&'a str, &'a str)>,
    pub(in crate::apiserver) selector: &'a Selector,
    /// 0 for all.
    pub(in crate::apiserver) limit: usize,
}

/// A page of objects and how many come behind it (unknown with a selector).
#[derive(Debug, Default)]
pub(in crate::apiserver) struct Found {
    pub(in crate::apiserver) items: Vec<Arc<Object>>,
    pub(in crate::apiserver) more: bool,
    pub(in crate::apiserver) remaining: u64,
}

impl Objects {
    /// The page that a range asks for.
    pub(in crate::apiserver) fn page(&self, range: &Range<'_>) -> Found {
        if let (Some(name), Some(namespace), None) = (range.selector.name(), range.namespace, range.after) {
            let one = self.get(namespace, name).filter(|object| range.selector.matches(object));
            return Found { items: one.into_iter().cloned().collect(), ..Found::default() };
        }
        take_page(self.range(range.namespace, range.after), range)
    }

    /// The same page as it was before some later changes: `then` holds what differed, sorted by key.
    pub(in crate::apiserver) fn page_then(
        &self,
        range: &Range<'_>,
        then: &[(Arc<Object>, Option<Arc<Object>>)],
    ) -> Found {
        if then.is_empty() {
            return self.page(range);
        }
        let differs = |object: &Object| then.binary_search_by(|(k, _)| key_order(k.key(), object.key())).is_ok();
        let back = then.iter().filter_map(|(_, old)| old.as_ref()).filter(|object| {
            range.namespace.is_none_or(|wanted| *object.meta.namespace == *wanted)
                && range.after.is_none_or(|after| key_order(object.key(), after).is_gt())
        });
        let same = self.range(range.namespace, range.after).filter(|object| !differs(object));
        let mut all: Vec<&Arc<Object>> = same.chain(back).collect();
        all.sort_by(|a, b| key_order(a.key(), b.key()));
        take_page(all.into_iter(), range)
    }
}

fn take_page<'a>(objects: impl Iterator<Item = &'a Arc<Object>>, range: &Range<'_>) -> Found {
    let mut selected = objects.filter(|object| range.selector.is_empty() || range.selector.matches(object));
    if range.limit == 0 {
        return Found { items: selected.cloned().collect(), ..Found::default() };
    }
    let items: Vec<Arc<Object>> = selected.by_ref().take(range.limit).cloned().collect();
    let more = selected.next().is_some();
    let remaining = if more && range.selector.is_empty() { 1 + selected.count() as u64 } else { 0 };
    Found { items, more, remaining }
}
