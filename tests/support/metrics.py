"""What a worker's metrics page says, as numbers."""

from prometheus_client.parser import text_string_to_metric_families


class Samples(dict[str, float]):
    """Prometheus samples by their text, `name` or `name{label="value",…}` with sorted labels."""

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of that name that carry (at least) these labels."""
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        return sum(
            value
            for sample, value in self.items()
            if sample.partition("{")[0] == name and wanted <= _labels(sample)
        )


def parse_samples(text: str) -> Samples:
    samples = Samples()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
            samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return samples


def _labels(sample: str) -> set[str]:
    inside = sample.partition("{")[2].removesuffix("}")
    return {f'{part}"' for part in inside.removesuffix('"').split('",')} if inside else set()
