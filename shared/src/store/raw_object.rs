//! JSON objects with unknown keys, which are kept unchanged and in their place.

use std::fmt;

use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The entries of an object. [`RawObject::take`] leaves an entry without a value, which marks the place of a
/// known key.
#[derive(Clone, Debug, Default)]
pub struct RawObject(Vec<(String, Option<Box<RawValue>>)>);

impl RawObject {
    /// Removes the value of a key; `None` where it is absent or null.
    pub fn take<T: DeserializeOwned, E: Error>(&mut self, key: &str) -> Result<Option<T>, E> {
        let value = self.0.iter_mut().find(|(name, _)| name == key).and_then(|(_, value)| value.take());
        let Some(value) = value else { return Ok(None) };
        serde_json::from_str(value.get()).map_err(|error| {
            let why = error.to_string();
            // The position is within the value and would be misread as one within the file.
            E::custom(format!("'{key}': {}", why.split(" at line").next().unwrap_or(&why)))
        })
    }

    /// Removes a value that must be present.
    pub fn need<T: DeserializeOwned, E: Error>(&mut self, key: &'static str) -> Result<T, E> {
        self.take(key)?.ok_or_else(|| E::missing_field(key))
    }

    /// Writes the object: unknown keys as they were read, known ones by `write`, each in its place. Known keys
    /// that were not read come last.
    pub fn write<S: Serializer>(
        &self,
        serializer: S,
        known: &[&str],
        write: impl Fn(&str, &mut S::SerializeMap) -> Result<(), S::Error>,
    ) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in &self.0 {
            match value {
                Some(value) => map.serialize_entry(key, value)?,
                None => write(key, &mut map)?,
            }
        }
        let is_new = |key: &&&str| !self.0.iter().any(|(name, _)| name == **key);
        known.iter().filter(is_new).try_for_each(|key| write(key, &mut map))?;
        map.end()
    }

    /// The entries of an object in their order, duplicate keys included; none if the value is no object.
    pub fn entries(object: &RawValue) -> impl Iterator<Item = (String, Box<RawValue>)> {
        let entries =
            serde_json::Deserializer::from_str(object.get()).deserialize_map(Entries { distinct: false });
        entries.unwrap_or_default().0.into_iter().filter_map(|(key, value)| Some((key, value?)))
    }
}

struct Entries {
    distinct: bool,
}

impl<'de> Visitor<'de> for Entries {
    type Value = RawObject;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject, A::Error> {
        let mut entries: Vec<(String, Option<Box<RawValue>>)> = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if self.distinct && entries.iter().any(|(name, _)| *name == key) {
                return Err(A::Error::custom(format!("duplicate field '{key}'")));
            }
            entries.push((key, Some(value)));
        }
        Ok(RawObject(entries))
    }
}

impl PartialEq for RawObject {
    fn eq(&self, other: &RawObject) -> bool {
        let texts = |object: &RawObject| serde_json::to_string(object).unwrap_or_default();
        texts(self) == texts(other)
    }
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawObject, D::Error> {
        deserializer.deserialize_map(Entries { distinct: true })
    }
}

impl Serialize for RawObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.write(serializer, &[], |_, _| Ok(()))
    }
}

/// Defines an object of a file whose unknown keys are kept: `pub FIELD: TYPE = "KEY" KIND`. A `needed` key must be
/// present; an `always` key is written although it has its default; an `optional` one is not. A key that is absent
/// or null has its default. `unsaved` fields are not in the file. `then` names a check, which may repair what was
/// read.
#[doc(hidden)]
#[macro_export]
macro_rules! kept_object {
    (
        $(#[$meta:meta])* $vis:vis struct $object:ident {
            $($(#[$doc:meta])* $field_vis:vis $field:ident: $type:ty = $key:literal $kind:ident,)*
        }
        $(unsaved { $($(#[$own_doc:meta])* $own_vis:vis $own:ident: $own_type:ty,)* })?
        $(then $check:path;)?
    ) => {
        $(#[$meta])*
        $vis struct $object {
            $($(#[$doc])* $field_vis $field: $type,)*
            $($($(#[$own_doc])* $own_vis $own: $own_type,)*)?
            rest: $crate::store::RawObject,
        }

        impl<'de> serde::Deserialize<'de> for $object {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
                let mut rest = $crate::store::RawObject::deserialize(from)?;
                #[allow(unused_mut)]
                let mut object = $object {
                    $($field: $crate::store::kept_object!(@read $kind rest $key),)*
                    $($($own: Default::default(),)*)?
                    rest,
                };
                $($check(&mut object).map_err(serde::de::Error::custom)?;)?
                Ok(object)
            }
        }

        impl serde::Serialize for $object {
            fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
                self.rest.write(to, &[$($key),*], |key, map| match key {
                    $($key if $crate::store::kept_object!(@is_written $kind self.$field, $type) => {
                        serde::ser::SerializeMap::serialize_entry(map, key, &self.$field)
                    })*
                    _ => Ok(()),
                })
            }
        }
    };
    (@read needed $rest:ident $key:literal) => { $rest.need($key)? };
    (@read $kind:ident $rest:ident $key:literal) => { $rest.take($key)?.unwrap_or_default() };
    (@is_written optional $value:expr, $type:ty) => { $value != <$type>::default() };
    (@is_written $kind:ident $value:expr, $type:ty) => { true };
}

#[doc(hidden)]
pub use kept_object;

#[cfg(test)]
mod tests {
    kept_object! {
        #[derive(Default)]
        struct Thing {
            id: String = "id" needed,
            name: String = "name" always,
            note: Option<String> = "note" optional,
        }
    }

    #[test]
    fn an_object_is_written_as_it_was_read_in_any_order_of_keys() {
        let members = [
            r#""id":"a""#,
            r#""name":"""#,
            r#""note":"n""#,
            r#""x":1.0e400"#,
            r#""big":123456789012345678901234567890"#,
            r#""nested":{"b": [1 , 2],"a":null}"#,
        ];
        let mut seed = 7_u64;
        for _ in 0..200 {
            let mut order = members.to_vec();
            for at in (1..order.len()).rev() {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                order.swap(at, (seed >> 33) as usize % (at + 1));
            }
            let text = format!("{{{}}}", order.join(","));
            let mut thing: Thing = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&thing).unwrap(), text);
            // A changed value stays in the place of the old one, and an absent one leaves no trace.
            (thing.name, thing.note) = ("new".to_owned(), None);
            let changed = text.replace(r#""name":"""#, r#""name":"new""#).replace(r#","note":"n""#, "");
            let changed = changed.replace(r#"{"note":"n","#, "{");
            assert_eq!(serde_json::to_string(&thing).unwrap(), changed);
        }
        let thing: Thing = serde_json::from_str(r#"{"y":0,"id":"b"}"#).unwrap();
        assert_eq!(serde_json::to_string(&thing).unwrap(), r#"{"y":0,"id":"b","name":""}"#);
        for (text, why) in [
            ("{}", "missing field `id`"),
            (r#"{"id":1}"#, "'id': "),
            (r#"{"id":"","q":1,"q":2}"#, "duplicate"),
        ] {
            let error = serde_json::from_str::<Thing>(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
