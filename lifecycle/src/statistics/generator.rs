//! Numbers that look random and are not: the same seed gives the same ones for ever. The methods that resample or
//! shuffle draw from here, so that results which are merged again give the same answer again.

use sha2::{Digest, Sha256};

/// `SplitMix64` (Steele, Lea and Flood 2014): one word of state, full period, good enough for resampling, useless for secrets.
#[derive(Clone, Debug)]
pub struct Generator(u64);

impl Generator {
    /// The generator of a text, for example of the ids of the runs that are compared.
    #[must_use]
    pub fn seeded(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        Self(digest.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte)))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A whole number from 0 to below `end`; 0 where that is empty.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from((u128::from(self.bits()) * end as u128) >> 64).unwrap_or(0)
    }

    /// Brings a list into an order in which every other was as likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
impl Generator {
    /// A number from 0 to below 1, for simulations.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A standard normal number, for simulations (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.share()).ln()).sqrt() * (std::f64::consts::TAU * self.share()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        let mut generator = Generator(1_234_567);
        assert_eq!([generator.bits(), generator.bits(), generator.bits()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn the_same_text_gives_the_same_numbers_and_another_gives_others() {
        assert_eq!(Generator::seeded("a").bits(), Generator::seeded("a").bits());
        assert_ne!(Generator::seeded("a").bits(), Generator::seeded("b").bits());
    }

    #[test]
    fn every_number_below_the_end_is_drawn_about_as_often() {
        let mut generator = Generator::seeded("even");
        let mut drawn = [0; 7];
        for _ in 0..7000 {
            drawn[generator.below(7)] += 1;
        }
        assert!(drawn.iter().all(|count| (880..1120).contains(count)), "{drawn:?}");
        assert_eq!(generator.below(0), 0);
    }

    #[test]
    fn a_shuffled_list_has_the_same_items() {
        let mut items: Vec<u32> = (0..100).collect();
        Generator::seeded("deck").shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
