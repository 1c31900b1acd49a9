from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("feedback", "0013_evaluation_prompts")]

    operations = [migrations.AddField("candidaterow", "nodes", models.TextField(blank=True, default=""), False)]
