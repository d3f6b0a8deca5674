from deployments.placements import placements


def test_every_environment_gets_its_promotion_and_the_project_the_rest() -> None:
    placed = [(one.flow.name, one.name, one.work_pool) for one in placements("shop", ["dev", "production"])]
    assert placed == [
        ("deliver-revision", "shop", "shop.ci"),
        ("promote-release", "shop.dev", "shop.dev"),
        ("promote-release", "shop.production", "shop.production"),
        ("report-dora", "shop", "shop.ci"),
    ]


def test_tags_name_project_and_environment() -> None:
    tags = {one.name: one.tags for one in placements("shop", ["dev"]) if one.flow.name == "promote-release"}
    assert tags == {"shop.dev": ["project:shop", "environment:dev"]}


def test_only_the_report_starts_by_itself_and_knows_its_parameters() -> None:
    scheduled = [one for one in placements("shop", ["dev"]) if one.flow.cron]
    assert [(one.flow.name, one.default_parameters()) for one in scheduled] == [("report-dora", {"project": "shop"})]
