"""100,000 heads on paper: hours, data and cost, worked out from the figures of one run."""

from typing import Any

HEADS = 100_000


def on_paper(seconds_per_head: float, rates: dict[str, float], megabytes: dict[str, float]) -> dict[str, Any]:
    """What so many heads cost on machines such as this one.

    Args:
        seconds_per_head: of one head by itself, from command to file.
        rates: heads an hour of a batch by the number of workers on this machine.
        megabytes: of an MR and of its CT, as they lie on the disk.
    """
    workers = max(rates, key=lambda count: rates[count])
    hours = HEADS / rates[workers]
    moved = megabytes["mr"] + megabytes["ct"]
    return {
        "heads": HEADS,
        "workers_a_machine": int(workers),
        "machine_hours": round(hours),
        "machine_hours_one_by_one": round(HEADS * seconds_per_head / 3600),
        "machines_for_a_day": -(-round(hours) // 24),
        "terabytes_read": round(HEADS * megabytes["mr"] / 1e6, 2),
        "terabytes_written": round(HEADS * megabytes["ct"] / 1e6, 2),
        "megabytes_a_second_of_all_for_a_day": round(HEADS * moved / 86400, 1),
    }


def in_words(paper: dict[str, Any]) -> str:
    """The same for people."""
    return (
        f"- {paper['machine_hours']:,} machine hours in batches, at {paper['workers_a_machine']} workers a machine.\n"
        f"- {paper['machine_hours_one_by_one']:,} machine hours if each head is a command of its own.\n"
        f"- In one day: {paper['machines_for_a_day']:,} machines, which together read and write "
        f"{paper['megabytes_a_second_of_all_for_a_day']} MB a second.\n"
        f"- {paper['terabytes_read']} TB are read and {paper['terabytes_written']} TB are written.\n"
        "- Cost: the machine hours times the price of such a machine for an hour."
    )
