//! The layers of the configuration, one above the other: defaults, file, environment, command line. figment merges them
//! and remembers which layer each value came from; we remember where in that layer it was said.

use figment::value::{Dict, Map, Tag, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use super::report::Place;
use super::schema::{self, Layer};

/// All layers as one.
pub(super) struct Merged {
    /// The values, complete with defaults.
    pub(super) values: Dict,
    figment: Figment,
    layers: Vec<Layer>,
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// Merges the layers, the later above the earlier.
pub(super) fn merge(layers: Vec<Layer>) -> Merged {
    let figment = layers
        .iter()
        .fold(Figment::new(), |figment, layer| figment.merge(layer));
    // None of our layers fails to give its data.
    let mut profiles = figment.data().unwrap_or_default();
    let mut values = profiles.remove(&Profile::Default).unwrap_or_default();
    schema::complete(&mut values);
    Merged {
        values,
        figment,
        layers,
    }
}

impl Merged {
    /// The value at this path, as it is written in errors: `server.listen[0]`, `routes[2].path`.
    pub(super) fn find(&self, path: &str) -> Option<&Value> {
        let mut parts = path.split(['.', '[']).map(|part| part.trim_end_matches(']'));
        let mut value = self.values.get(parts.next()?)?;
        for part in parts {
            value = match value {
                Value::Dict(_, entries) => entries.get(part)?,
                Value::Array(_, items) => items.get(part.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(value)
    }

    /// Where the value at this path was said, if it was: a default has no place.
    pub(super) fn said(&self, path: &str) -> Option<&Place> {
        let layer = self.layer(self.find(path)?.tag())?;
        // A single value in place of a list stands where the list would.
        let whole = path
            .strip_suffix(']')
            .and_then(|path| path.rfind('['))
            .map(|end| &path[..end]);
        let place = layer.places.get(path).or_else(|| layer.places.get(whole?));
        place.filter(|place| **place != Place::Nowhere)
    }

    /// Where the value at this path was said; or else where the table was that it would stand in.
    pub(super) fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.said(path) {
                return place.clone();
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return Place::Nowhere,
            }
        }
    }

    fn layer(&self, tag: Tag) -> Option<&Layer> {
        let name = &self.figment.get_metadata(tag)?.name;
        self.layers.iter().find(|layer| layer.name == *name)
    }
}
