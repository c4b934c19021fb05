//! Of which templates the texts of alerts are, where a check's name does not say what is wrong.
use quell_models::templates::{Miner, Settings};
use serde::{Deserialize, Serialize};

/// Learned from the first text on: most scopes have none.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Texts(Option<Box<Miner>>);

impl Texts {
    /// The template of a text, as far as is known now; words that are names are known to vary. At most `max` templates are kept: what
    /// is seen again after it has gone has its first id.
    pub fn template(&mut self, text: &str, is_name: &dyn Fn(&str) -> bool, max: usize) -> u64 {
        let miner = self.0.get_or_insert_with(|| Box::new(Miner::new(Settings::default())));
        miner.limit(max);
        miner.learn_with(text, is_name).template
    }

    /// How many have made room since this was last asked.
    pub fn take_forgotten(&mut self) -> u64 {
        self.0.as_mut().map_or(0, |miner| miner.take_forgotten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_known_vary_and_what_is_forgotten_has_its_first_id() {
        let mut texts = Texts::default();
        let mut of = |text: &str| texts.template(text, &|word| word.starts_with("shop"), 4);
        let first = of("replica shop of eu lags");
        let both = of("replica shopping of eu lags");
        assert_eq!(of("replica shop of eu lags"), both);
        assert_ne!((first, both), (of("replica mail of eu lags"), of("disk full")));
        for word in ["a", "b", "c", "d"] {
            of(&format!("{word} and nothing else is {word}{word}"));
        }
        assert_eq!(of("replica shop of eu lags"), first);
        assert!(texts.take_forgotten() > 0 && texts.take_forgotten() == 0);
    }

    #[test]
    fn a_snapshot_of_them_is_restored() -> Result<(), postcard::Error> {
        let mut texts = Texts::default();
        assert_eq!(postcard::to_stdvec(&texts)?.len(), 1);
        for user in ["ann", "bob", "cyd", "dee"] {
            texts.template(&format!("login from {user} at 10.0.0.7"), &|_| false, 4);
        }
        let bytes = postcard::to_stdvec(&texts)?;
        let mut restored: Texts = postcard::from_bytes(&bytes)?;
        assert_eq!(restored, texts);
        assert_eq!(postcard::to_stdvec(&restored)?, bytes);
        let text = "login from eve at 10.0.0.9";
        assert_eq!(restored.template(text, &|_| false, 4), texts.template(text, &|_| false, 4));
        Ok(())
    }
}
